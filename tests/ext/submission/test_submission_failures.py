"""RFC 8621 §7.5: what a client is told when the submission server does not take a message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.ext.submission.service import SignIn
from gateway.sasl import Credentials
from tests.ext.submission.sending import SendingClient, sending
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.smtp import (
    AUTH,
    EXTENSIONS,
    Script,
    SmtpServer,
    Step,
    fall_silent,
    hang_up,
    say,
    smtp_server,
)

ANN, BOB, CARL = "ann@example.net", "bob@example.net", "carl@example.net"
TO = [{"email": ANN}, {"email": BOB}, {"email": CARL}]
BUSY = say("451 4.7.1 greylisted, try again")
_PATIENCE_SECONDS = 0.6


def _steps(**steps: Step) -> Script:
    return Script(AUTH, steps=steps)


_TAKEN_OR_NOT = [
    pytest.param(hang_up(), id="closed"),
    pytest.param(hang_up(takes=True), id="taken and closed"),
    pytest.param(hang_up(b"250 2.0.0 ta", takes=True), id="half a reply"),
    pytest.param(fall_silent(takes=True), id="silence"),
    pytest.param(say("garbage"), id="garbage"),
    pytest.param(say("354 go on"), id="no answer to that"),
]

# What the server does, the error, and what it has from the server, or says of it.
_REFUSALS = {
    "sender": (_steps(MAIL=say("550 5.7.1 not you")), "forbiddenMailFrom", "550 5.7.1 not you"),
    "sender later": (_steps(MAIL=BUSY), "serverUnavailable", "451 4.7.1 greylisted, try again"),
    "sender not signed in": (
        _steps(MAIL=say("530 5.7.0 sign in first")), "forbiddenToSend", "530 5.7.0 sign in first"
    ),
    "a recipient": (
        Script(AUTH, rcpt={BOB: say("550 5.1.1 no such user")}),
        "invalidRecipients", "bob@example.net: 550 5.1.1 no such user",
    ),
    "all recipients": (
        _steps(RCPT=say("554 5.7.1 relaying denied")), "invalidRecipients", "relaying denied"
    ),
    "a recipient later": (
        Script(AUTH, rcpt={BOB: BUSY}), "serverUnavailable", "bob@example.net: 451 4.7.1"
    ),
    "a full mailbox": (
        Script(AUTH, rcpt={BOB: say("452 no room")}), "serverUnavailable", "452 no room"
    ),
    "too many": (
        Script(AUTH, most_recipients=2), "tooManyRecipients", "452 4.5.3 too many recipients"
    ),
    "too large, as offered": (
        Script((*AUTH[:1], "SIZE 100", *AUTH[2:])), "tooLarge", "the message is too large"
    ),
    "too large for MAIL": (
        _steps(MAIL=say("552 5.3.4 too large")), "tooLarge", "552 5.3.4 too large"
    ),
    "too large at the end": (
        _steps(end=say("552 5.3.4 too large")), "tooLarge", "552 5.3.4 too large"
    ),
    "data": (_steps(DATA=say("554 5.5.1 no")), "forbiddenToSend", "554 5.5.1 no"),
    "data later": (_steps(DATA=BUSY), "serverUnavailable", "451 4.7.1 greylisted"),
    "the message": (
        _steps(end=say("550-5.7.1 this looks", "550 5.7.1 like spam")),
        "forbiddenToSend", "550 5.7.1 this looks like spam",
    ),
    "what it consists of": (
        _steps(end=say("554 5.6.0 bad MIME")), "invalidEmail", "554 5.6.0 bad MIME"
    ),
    "the message later": (_steps(end=BUSY), "serverUnavailable", "451 4.7.1 greylisted"),
    "the login": (
        _steps(credentials=say("535 5.7.8 wrong")), "forbiddenToSend", "535 5.7.8 wrong"
    ),
    "the login later": (
        _steps(credentials=say("454 4.7.0 not now")), "serverUnavailable", "454 4.7.0 not now"
    ),
    "every login": (Script(EXTENSIONS), "forbiddenToSend", "does not offer PLAIN"),
    "everybody": (_steps(connect=say("421 4.3.2 down")), "serverUnavailable", "421 4.3.2 down"),
    "everybody for good": (_steps(connect=say("554 no")), "forbiddenToSend", "554 no"),
    "421 at once": (_steps(MAIL=hang_up(b"421 4.3.2 down\r\n")), "serverUnavailable", "421 4.3.2"),
    "closed at once": (_steps(connect=hang_up()), "serverUnavailable", "can not be reached"),
    "closed before data": (_steps(DATA=hang_up()), "serverUnavailable", "connection was lost"),
    "closed in data": (
        Script(AUTH, steps={"data": hang_up()}, data_limit=10),
        "serverUnavailable", "connection was lost",
    ),
    "refused in data": (
        Script(AUTH, steps={"data": hang_up(b"552 5.3.4 too large\r\n")}, data_limit=10),
        "tooLarge", "552 5.3.4 too large",
    ),
    "garbage": (_steps(MAIL=say("what?")), "serverUnavailable", "connection was lost"),
    "garbage at once": (_steps(connect=say("what?")), "serverUnavailable", "what?"),
    "8 bit": (Script(("AUTH PLAIN",)), "invalidEmail", "8 bit"),
    "8 bit in the header": (
        Script(("AUTH PLAIN", "8BITMIME")), "invalidEmail", "UTF-8 in a header"
    ),
    **{
        f"silence at {step}": (
            _steps(**{step: fall_silent()}), "serverUnavailable", ""
        )
        for step in ("connect", "EHLO", "AUTH", "credentials", "MAIL", "RCPT", "DATA")
    },
}  # fmt: skip


@pytest.fixture
async def hasty(dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path) -> Any:
    """Give a client of a gateway that does not wait long for the submission server."""
    async with sending(dovecot, mailuser, tmp_path, smtp.port, seconds=_PATIENCE_SECONDS) as client:
        yield client


@pytest.mark.checklist("U13")
@pytest.mark.parametrize("case", _REFUSALS)
async def test_why_it_was_not_taken(hasty: SendingClient, smtp: SmtpServer, case: str) -> None:
    email_id = await hasty.draft(
        # Of a small message the end is sent before the server can break off.
        to=TO,
        bodyValues={"1": {"value": "x" * (3_000_000 if "in data" in case else 400)}},
    )
    if "8 bit" in case:
        email_id = await _raw(hasty, b"Subject: gr\xc3\xbc\xc3\x9fe\r\n")
    smtp.script, error, said = _REFUSALS[case]
    refused = await hasty.submit(email_id, envelope={"rcptTo": TO})
    assert refused["type"] == error
    assert said in refused["description"]
    if error == "invalidRecipients":
        refused_ones = {"a recipient": [BOB]}.get(case, [ANN, BOB, CARL])
        assert refused["invalidRecipients"] == refused_ones
    if error == "tooManyRecipients":
        assert refused["maxRecipients"] == 2
    if error == "tooLarge":
        (email,) = await hasty.emails([email_id], ["size"])
        most = 100 if case == "too large, as offered" else email["size"] - 1
        assert refused["maxSize"] == most
    assert not smtp.messages
    assert (await hasty.call("EmailSubmission/get", ids=None))["list"] == []
    # Nothing is left that would keep it from being sent when the server thinks otherwise.
    smtp.script = Script(AUTH)
    created = await hasty.submit(email_id, envelope={"rcptTo": TO})
    assert created["undoStatus"] == "final"
    assert len(smtp.messages) == 1


async def _raw(client: SendingClient, subject: bytes) -> str:
    """An Email of these octets, which no client of ours would compose."""
    octets = b"From: %s\r\n%s\r\ntext\r\n" % (client.address.encode(), subject)

    async def chunks() -> Any:
        yield octets

    upload = await client.account.uploads.receive("message/rfc822", chunks(), 10_000)
    inbox = (await client.paths())["Inbox"]
    email = {"blobId": upload.blob_id, "mailboxIds": {inbox: True}}
    answer = await client.call("Email/import", emails={"i": email})
    id_: str = answer["created"]["i"]["id"]
    return id_


@pytest.mark.checklist("U08")
@pytest.mark.parametrize("end", _TAKEN_OR_NOT)
async def test_an_end_that_nobody_knows_is_told_and_not_tried_again(
    hasty: SendingClient, smtp: SmtpServer, end: Step
) -> None:
    email_id = await hasty.draft()
    smtp.script = _steps(end=end)
    created = await hasty.submit(email_id)
    assert created["undoStatus"] == "final"
    taken = len(smtp.messages)
    shown = await hasty.submission(created["id"])
    assert shown is not None
    status = shown["deliveryStatus"]["rcpt@example.net"]
    assert status["delivered"] == "unknown"
    assert status["smtpReply"].startswith("451 4.4.2 ")
    # The same again is the same, even though the server would take it now.
    smtp.script = Script(AUTH)
    again = await hasty.submit(email_id)
    assert again["id"] == created["id"]
    assert len(smtp.messages) == taken


async def test_what_is_lost_after_the_answer_is_no_loss(
    hasty: SendingClient, smtp: SmtpServer
) -> None:
    smtp.script = _steps(end=hang_up(b"250 2.0.0 ok\r\n", takes=True))
    created = await hasty.submit(await hasty.draft())
    assert created["deliveryStatus"]["rcpt@example.net"]["smtpReply"] == "250 2.1.5 recipient ok"


async def test_a_server_that_is_away_is_unavailable(hasty: SendingClient, smtp: SmtpServer) -> None:
    await smtp.stop()
    refused = await hasty.submit(await hasty.draft())
    assert refused["type"] == "serverUnavailable"


@pytest.mark.parametrize("sign_in", ["relay", "none"])
async def test_a_relay_is_used_for_all(
    dovecot: Dovecot, mailuser: User, tmp_path: Path, sign_in: str
) -> None:
    as_relay = SignIn(
        as_user=False, relay=Credentials("relay", "secret") if sign_in == "relay" else None
    )
    async with (
        smtp_server(Script(AUTH)) as smtp,
        sending(dovecot, mailuser, tmp_path, smtp.port, sign_in=as_relay) as client,
    ):
        await client.submit(await client.draft())
        logins = [command for command in smtp.commands if command.startswith("AUTH")]
        relay = "AUTH PLAIN AHJlbGF5AHNlY3JldA=="
        assert logins == ([relay] if sign_in == "relay" else [])
        assert len(smtp.messages) == 1


async def test_login_is_used_where_the_server_knows_no_better(
    sender: SendingClient, smtp: SmtpServer
) -> None:
    smtp.script = Script((*EXTENSIONS, "AUTH LOGIN"))
    await sender.submit(await sender.draft())
    (login,) = [command for command in smtp.commands if command.startswith("AUTH")]
    assert login.startswith("AUTH LOGIN ")
    assert len(smtp.messages) == 1
