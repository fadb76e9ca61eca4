"""RFC 9007 §2.1, RFC 3503: MDNs about Emails that ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.ext import mdn_create
from gateway.ext.mdn_outgoing import Outgoing, outgoing
from gateway.jmap.errors import SetError
from gateway.mail.enclosures import EnclosureChanged
from gateway.mime import disposition, reports
from tests.mail.client import Client
from tests.mail.messages import mail
from tests.servers.dovecot import Dovecot, User

AUTHOR = {"name": "Joe", "email": "joe@example.test"}
ASKING = ("Disposition-Notification-To: jane@example.test",)


async def made(client: Client, email_id: str | None, **properties: Any) -> Outgoing:
    """What is to be sent of an Email."""
    told = {"actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "deleted"}
    mdn: Mapping[str, Any] = {"forEmailId": "E", "disposition": told, **properties}
    return await outgoing(client.account, mdn_create.read(mdn, lambda _: email_id), AUTHOR)


async def octets(sent: Outgoing) -> bytes:
    """All of it."""
    return b"".join([chunk async for chunk in sent.chunks()])


async def test_an_email_that_asks_for_it_is_notified_about(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    letter = mail(fields=ASKING, body="Grüße\r\n")
    dovecot.append(mailuser, "INBOX", letter)
    email = await client.email("id")
    sent = await made(client, email["id"], includeOriginalMessage=True)
    assert (sent.email_id, sent.recipients) == (email["id"], ("jane@example.test",))
    assert sent.final_address == "joe@example.test"
    assert sent.told["originalMessageId"] == "<1@example.test>"
    written = await octets(sent)
    assert len(written) == sent.size
    assert b"Message-ID: " + sent.message_id in written
    report = reports.parse(written)
    assert report is not None
    assert (report.original, report.is_whole) == (letter, True)
    told = disposition.of_report(report)
    assert told is not None
    assert (told.type, told.original_message_id) == ("deleted", "<1@example.test>")
    again = await made(client, email["id"])
    assert again.message_id != sent.message_id
    assert letter not in await octets(again)


@pytest.mark.parametrize(
    ("keywords", "fields", "refusal"),
    [
        ((), (), "notFound"),
        ((), ("Disposition-Notification-To: nobody",), "notFound"),
        (("$MDNSent",), ASKING, "mdnAlreadySent"),
        (("\\Draft",), ASKING, "forbidden"),
    ],
)
async def test_what_asks_for_none_or_may_have_none_is_refused(
    client: Client,
    dovecot: Dovecot,
    mailuser: User,
    keywords: tuple[str, ...],
    fields: tuple[str, ...],
    refusal: str,
) -> None:
    dovecot.append(mailuser, "INBOX", mail(fields=fields), flags=keywords)
    email = await client.email("id")
    with pytest.raises(SetError) as refused:
        await made(client, email["id"])
    assert refused.value.type == refusal


async def test_emails_that_are_not_there_are_not_found(client: Client) -> None:
    for id_ in ("Enobody", None):
        with pytest.raises(SetError) as refused:
            await made(client, id_)
        assert refused.value.type == "notFound"


async def test_only_small_originals_are_enclosed(
    client: Client, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    dovecot.append(mailuser, "INBOX", mail(fields=ASKING))
    email = await client.email("id")
    monkeypatch.setattr("gateway.mail.enclosures.MAX_ATTACHMENTS_OCTETS", 100)
    with pytest.raises(SetError) as refused:
        await made(client, email["id"], includeOriginalMessage=True)
    assert refused.value.type == "tooLarge"
    assert (await made(client, email["id"])).size > 100


async def test_an_original_that_goes_away_meanwhile_is_not_sent_in_part(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    dovecot.append(mailuser, "INBOX", mail(fields=ASKING))
    email = await client.email("id")
    sent = await made(client, email["id"], includeOriginalMessage=True)
    await client.call("Email/set", destroy=[email["id"]])
    with pytest.raises(EnclosureChanged):
        await octets(sent)
