"""RFC 9007 §3, RFC 8621 §7: from asking for a notification to what it tells, between two users."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.ext.mdn import MDN
from tests.ext.submission.sending import SendingClient, sending
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.smtp import SmtpServer

TOLD = {"actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "displayed"}


@pytest.fixture
def other(dovecot: Dovecot) -> User:
    """Give another user of the same server."""
    return dovecot.add_user()


@pytest.fixture
async def reader(
    dovecot: Dovecot, other: User, smtp: SmtpServer, tmp_path: Path
) -> AsyncIterator[SendingClient]:
    """Give a client of the other user."""
    async with sending(dovecot, other, tmp_path, smtp.port) as client:
        yield client


async def displayed(client: SendingClient, id_: str, address: str) -> dict[str, Any]:
    """An EmailSubmission, once that is told of it."""
    async with asyncio.timeout(20):
        with client.account.watch() as listener:
            while True:
                shown = await client.submission(id_)
                assert shown is not None
                if shown["deliveryStatus"][address]["displayed"] == "yes":
                    return shown
                await listener.wait()


@pytest.mark.checklist("U08", "U09")
async def test_who_asks_is_told_that_it_was_read(
    sender: SendingClient,
    reader: SendingClient,
    dovecot: Dovecot,
    mailuser: User,
    other: User,
    smtp: SmtpServer,
) -> None:
    for client in (sender, reader):
        client.using.append(MDN)
        client.capabilities |= {MDN}
    asking = {"header:Disposition-Notification-To:asText": sender.address}
    sent = await sender.draft(to=[{"email": reader.address}], **asking)
    submission = await sender.submit(sent)
    dovecot.append(other, "INBOX", smtp.messages[0].octets)

    (received,) = await reader.query()
    arguments = {
        "identityId": reader.identity,
        "send": {"k": {"forEmailId": received, "disposition": TOLD, "textBody": "Gelesen – danke"}},
        "onSuccessUpdateEmail": {"#k": {"keywords/$mdnsent": True}},
    }
    ((_, answer), _) = await reader.request(("MDN/send", arguments))
    assert answer["notSent"] is None
    assert smtp.messages[1].recipients == (sender.address,)
    dovecot.append(mailuser, "INBOX", smtp.messages[1].octets)

    shown = await displayed(sender, submission["id"], reader.address)
    assert shown["dsnBlobIds"] == []
    (blob_id,) = shown["mdnBlobIds"]
    parsed = (await sender.call("MDN/parse", blobIds=[blob_id]))["parsed"][blob_id]
    assert parsed["forEmailId"] == sent
    assert (parsed["disposition"], parsed["textBody"]) == (TOLD, "Gelesen – danke")
    assert parsed["finalRecipient"] == f"rfc822; {reader.address}"
    assert parsed["subject"] == "Disposition notification: hello"
