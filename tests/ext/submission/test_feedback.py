"""RFC 8621 §7: what becomes of messages, as reports in the mailbox tell it."""

from __future__ import annotations

import asyncio
import imaplib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.ext.submission.feedback import noted
from gateway.ext.submission.submissions import Creation, Delivery, Submission
from gateway.mail.blob import Blob, open_blob
from gateway.mime.report_news import News, SentReport
from gateway.sync.account import Account
from gateway.sync.errors import NotCommitted
from gateway.sync.records import Kept
from tests.ext.submission.sending import SendingClient
from tests.servers.dovecot import Dovecot

DSN = """\
From: MAILER-DAEMON@mail.example.org
To: {sender}
Subject: Undelivered Mail Returned to Sender
Message-ID: <report-{number}@mail.example.org>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=B

--B
Content-Type: text/plain

It could not be delivered.
--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.org
{envid}
Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {reply}
--B
Content-Type: text/rfc822-headers

Message-ID: <{message_id}>
--B--
"""
MDN = """\
From: rcpt@example.net
To: {sender}
Subject: Read
Message-ID: <mdn-{number}@example.net>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; boundary=B

--B
Content-Type: text/plain

It was read.
--B
Content-Type: message/disposition-notification

Final-Recipient: rfc822; rcpt@example.net
Original-Message-ID: <{message_id}>
Disposition: manual-action/MDN-sent-manually; displayed
--B--
"""
Deliver = Callable[[str], None]


@pytest.fixture
def deliver(dovecot: Dovecot, sender: SendingClient) -> Deliver:
    """Give a function that puts a message into the user's inbox."""

    def deliver(message: str) -> None:
        imap = imaplib.IMAP4("127.0.0.1", dovecot.imap_port)
        imap.login(sender.account.username, "correct horse")
        imap.append("INBOX", "", "", message.replace("\n", "\r\n").encode())
        imap.logout()

    return deliver


async def _changed(sender: SendingClient, id_: str, old: Any) -> dict[str, Any]:
    """The EmailSubmission once it is another than before."""
    async with asyncio.timeout(20):
        with sender.account.watch() as listener:
            while True:
                await sender.call("Email/query", limit=0)
                shown = await sender.submission(id_)
                assert shown is not None
                if shown != old:
                    return shown
                async with asyncio.timeout(10):
                    await listener.wait()


async def _sent(sender: SendingClient) -> tuple[dict[str, Any], str]:
    """An EmailSubmission, and the Message-ID of what was sent."""
    email_id = await sender.draft()
    created = await sender.submit(email_id)
    (email,) = await sender.emails([email_id], ["messageId"])
    shown = await sender.submission(created["id"])
    assert shown is not None
    return shown, email["messageId"][0]


@pytest.mark.checklist("U08", "U09")
@pytest.mark.parametrize("named_by", ["envid", "message id"])
async def test_a_delivery_that_failed_is_told(
    sender: SendingClient, deliver: Deliver, named_by: str
) -> None:
    before, message_id = await _sent(sender)
    by_envid = named_by == "envid"
    deliver(
        DSN.format(
            sender=sender.address,
            number=1,
            envid=f"Original-Envelope-Id: {before['id']}\n" if by_envid else "",
            recipient="rcpt@example.net",
            action="failed",
            status="5.1.1",
            reply="550 5.1.1 no such user",
            message_id="another@example.org" if by_envid else message_id,
        )
    )
    after = await _changed(sender, before["id"], before)
    assert after["deliveryStatus"] == {
        "rcpt@example.net": {
            "smtpReply": "550 5.1.1 no such user",
            "delivered": "no",
            "displayed": "unknown",
        }
    }
    (report,) = await sender.emails(await sender.query({"subject": "Undelivered"}), ["blobId"])
    assert after["dsnBlobIds"] == [report["blobId"]]
    assert after["mdnBlobIds"] == []


@pytest.mark.checklist("U08", "U09")
async def test_that_it_was_read_is_told_and_pushed(sender: SendingClient, deliver: Deliver) -> None:
    before, message_id = await _sent(sender)
    state = sender.account.states()["EmailSubmission"]
    deliver(MDN.format(sender=sender.address, number=1, message_id=message_id))
    after = await _changed(sender, before["id"], before)
    status = after["deliveryStatus"]["rcpt@example.net"]
    assert (status["delivered"], status["displayed"]) == ("unknown", "yes")
    assert len(after["mdnBlobIds"]) == 1
    assert after["dsnBlobIds"] == []
    assert sender.account.states()["EmailSubmission"] != state
    changes = await sender.call("EmailSubmission/changes", sinceState=state)
    assert changes["updated"] == [before["id"]]


async def test_a_report_about_what_others_have_sent_changes_nothing(
    sender: SendingClient, deliver: Deliver
) -> None:
    before, message_id = await _sent(sender)
    deliver(MDN.format(sender=sender.address, number=1, message_id="other@example.com"))
    deliver(MDN.format(sender=sender.address, number=2, message_id=message_id))
    after = await _changed(sender, before["id"], before)
    assert len(after["mdnBlobIds"]) == 1


async def test_what_was_noted_is_not_read_again(
    sender: SendingClient, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, message_id = await _sent(sender)
    deliver(MDN.format(sender=sender.address, number=1, message_id=message_id))
    noted_once = await _changed(sender, before["id"], before)
    read: list[str] = []

    async def counted(account: Account, blob_id: str) -> Blob | None:
        read.append(blob_id)
        return await open_blob(account, blob_id)

    monkeypatch.setattr("gateway.ext.submission.feedback.open_blob", counted)
    sender.account.reports.leave()  # as if the gateway had been started anew
    deliver(MDN.format(sender=sender.address, number=2, message_id=message_id))
    after = await _changed(sender, before["id"], noted_once)
    assert read == after["mdnBlobIds"][1:]
    assert len(read) == 1


def test_a_report_waits_for_the_answer_that_it_has_overtaken() -> None:
    envelope = {"mailFrom": None, "rcptTo": [{"email": "rcpt@example.net", "parameters": None}]}
    creation = Creation(b"", b"")
    sent = Submission("i", "E", "T", envelope, 0.0, "final", creation, None, 0.0)
    kept = Kept("epoch").put("S1", replace(sent, sending_until=1.0).value)
    report = SentReport("S1", "dsn", {"rcpt@example.net": News("550 no", "no")})
    with pytest.raises(NotCommitted):
        noted(kept, report, "mE1")
    kept = kept.put("S1", sent.ended({"rcpt@example.net": Delivery("250 ok")}).value)
    after = Submission.of(noted(kept, report, "mE1").value("S1") or {})
    assert after.delivery == {"rcpt@example.net": Delivery("550 no", "no")}
    assert after.dsn_blob_ids == ("mE1",)
