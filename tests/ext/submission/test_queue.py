"""RFC 8621 §7, RFC 4865: messages that leave later, or are taken back before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.ext.submission import due
from gateway.ext.submission.submissions import Submission
from gateway.store.base import Store
from gateway.store.opening import open_store
from gateway.sync.records import Kept, Records
from tests.ext.submission.sending import SECRET, SendingClient, sending
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.smtp import AUTH, Script, SmtpServer, hang_up, say

TO = [{"email": "ann@example.net"}]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Give a store that outlives gateways."""
    opened = open_store(f"sqlite:///{tmp_path}/kept.db", SECRET, tmp_path)
    yield opened
    await opened.close()


async def _later(client: SendingClient, seconds: float = 3600, **draft: Any) -> str:
    """Hold a message so long; the id of the EmailSubmission."""
    mail_from = {"email": client.address, "parameters": {"HOLDFOR": str(int(seconds))}}
    envelope = {"mailFrom": mail_from, "rcptTo": TO}
    created = await client.submit(await client.draft(**draft), envelope=envelope)
    id_: str = created["id"]
    assert created["undoStatus"] == "pending"
    return id_


async def _due_now(store: Store, id_: str, **changes: Any) -> None:
    """Let its time come."""

    def edit(kept: Kept) -> Kept:
        entry = due.entry(kept, id_)
        assert entry is not None
        return kept.put(id_, replace(entry, at=time.time(), **changes).value)

    await due.records(store.durable).change(edit)


async def _status(client: SendingClient, id_: str, undo_status: str) -> dict[str, Any]:
    """The EmailSubmission, once it is so."""
    async with asyncio.timeout(20):
        with client.account.watch() as listener:
            while True:
                shown = await client.submission(id_)
                assert shown is not None
                if shown["undoStatus"] == undo_status:
                    return shown
                async with asyncio.timeout(15):
                    await listener.wait()


async def _held(store: Store) -> list[due.Due]:
    return due.all_of(await due.records(store.durable).load())


async def _none_held(store: Store) -> None:
    """Return once nothing is held any more."""
    async with asyncio.timeout(20):
        while await _held(store):
            await asyncio.sleep(0.02)


@pytest.mark.checklist("U05", "U06")
async def test_it_leaves_when_its_time_has_come(
    dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path, store: Store
) -> None:
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store) as client:
        id_ = await _later(client, 1, bcc=[{"email": "secret@example.net"}])
        shown = await client.submission(id_)
        assert shown is not None
        assert shown["deliveryStatus"]["ann@example.net"]["delivered"] == "queued"
        (message,) = await smtp.wait(1)
        assert b"Bcc" not in message.octets
        assert "HOLDFOR" not in message.mail
        after = await _status(client, id_, "final")
        assert after["deliveryStatus"]["ann@example.net"]["smtpReply"] == "250 2.1.5 recipient ok"
        assert after["sendAt"] == shown["sendAt"]
        await _none_held(store)


@pytest.mark.checklist("U07")
async def test_until_then_it_can_be_taken_back(
    dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path, store: Store
) -> None:
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store) as client:
        id_ = await _later(client)
        answer = await client.call("EmailSubmission/set", update={id_: {"undoStatus": "canceled"}})
        assert id_ in answer["updated"]
        shown = await client.submission(id_)
        assert shown is not None
        assert shown["undoStatus"] == "canceled"
        assert await _held(store) == []
        again = {id_: {"undoStatus": "pending"}}
        answer = await client.call("EmailSubmission/set", update=again)
        assert answer["notUpdated"][id_]["type"] == "invalidProperties"
        # What was taken back can be sent after all.
        shown_again = await client.submission(await _later(client))
        assert shown_again is not None
    assert smtp.messages == []


@pytest.mark.checklist("U07", "U12")
async def test_when_it_is_taken_back_the_email_is_a_draft_again(
    dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path
) -> None:
    async with sending(dovecot, mailuser, tmp_path, smtp.port) as client:
        id_ = await _later(client, keywords={"$seen": True})
        answers = await client.request(
            (
                "EmailSubmission/set",
                {
                    "update": {id_: {"undoStatus": "canceled"}},
                    "onSuccessUpdateEmail": {id_: {"keywords/$draft": True}},
                },
            )
        )
        assert [name for name, _ in answers] == ["EmailSubmission/set", "Email/set"]
        email = await client.email("keywords")
        assert email["keywords"] == {"$seen": True, "$draft": True}


async def test_it_leaves_from_another_gateway_when_the_first_is_gone(
    dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path
) -> None:
    path = f"sqlite:///{tmp_path}/kept.db"
    first = open_store(path, SECRET, tmp_path)
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=first) as client:
        id_ = await _later(client)
        email_ids = await client.query()
        # Nothing that becomes of the Email or the EmailSubmission changes that (RFC 8621 §7.5).
        await client.call("Email/set", destroy=email_ids)
        await client.call("EmailSubmission/set", destroy=[id_])
    second = open_store(path, SECRET, tmp_path)
    await _due_now(second, id_)
    other = User(mailuser.username, mailuser.password)
    async with sending(dovecot, other, tmp_path, smtp.port, store=second):
        (message,) = await smtp.wait(1)
    assert message.recipients == ("ann@example.net",)
    assert any(command.startswith("AUTH PLAIN") for command in smtp.commands)
    for each in (first, second):
        await each.close()


@pytest.mark.checklist("U07")
async def test_while_it_leaves_it_can_not_be_taken_back(
    dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path, store: Store
) -> None:
    leaving, go_on = asyncio.Event(), asyncio.Event()

    async def before(step: str) -> None:
        if step == "DATA":
            leaving.set()
            await go_on.wait()

    smtp.before = before
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store) as client:
        id_ = await _later(client, 1)
        async with asyncio.timeout(20):
            await leaving.wait()
        answer = await client.call("EmailSubmission/set", update={id_: {"undoStatus": "canceled"}})
        assert answer["notUpdated"][id_]["type"] == "cannotUnsend"
        go_on.set()
        await _status(client, id_, "final")
    assert len(smtp.messages) == 1


async def test_of_several_gateways_one_sends(
    dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path
) -> None:
    path = f"sqlite:///{tmp_path}/kept.db"
    stores = [open_store(path, SECRET, tmp_path) for _ in range(3)]
    async with (
        sending(dovecot, mailuser, tmp_path, smtp.port, store=stores[0]) as client,
        sending(dovecot, mailuser, tmp_path, smtp.port, store=stores[1]),
        sending(dovecot, mailuser, tmp_path, smtp.port, store=stores[2]) as third,
    ):
        ids = [await _later(client, 2, subject=str(n)) for n in range(5)]
        await smtp.wait(5)
        for id_ in ids:
            await _status(client, id_, "final")
        assert await third.submission(ids[0]) is not None
    assert len(smtp.messages) == 5
    for each in stores:
        await each.close()


async def test_what_is_not_taken_now_is_tried_again(
    dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path, store: Store
) -> None:
    tried = asyncio.Event()

    async def before(step: str) -> None:
        if step == "MAIL":
            tried.set()

    smtp.script = Script(AUTH, steps={"MAIL": say("451 4.7.1 later")})
    smtp.before = before
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store) as client:
        id_ = await _later(client, 1)
        async with asyncio.timeout(20):
            await tried.wait()
            while (entry := (await _held(store))[0]).tries == 0:
                await asyncio.sleep(0.02)
        assert entry.at > time.time() + 30
        shown = await client.submission(id_)
        assert shown is not None
        assert shown["undoStatus"] == "pending"
        smtp.script = Script(AUTH)
        await _due_now(store, id_)
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store) as client:
        await smtp.wait(1)
        await _status(client, id_, "final")


@pytest.mark.parametrize(
    ("script", "since", "reply"),
    [
        (Script(AUTH, rcpt={"ann@example.net": say("550 5.1.1 gone")}), 0.0, "550 5.1.1 gone"),
        (Script(AUTH, steps={"MAIL": say("451 4.7.1 later")}), 90_000.0, "451 4.7.1 later"),
    ],
)
async def test_what_is_never_taken_is_given_up(
    dovecot: Dovecot,
    mailuser: User,
    smtp: SmtpServer,
    tmp_path: Path,
    store: Store,
    script: Script,
    since: float,
    reply: str,
) -> None:
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store) as client:
        id_ = await _later(client)
    smtp.script = script
    await _due_now(store, id_, since=time.time() - since)
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store) as client:
        shown = await _status(client, id_, "final")
        status = shown["deliveryStatus"]["ann@example.net"]
        assert status["delivered"] == "no"
        assert reply in status["smtpReply"]
        await _none_held(store)
    assert smtp.messages == []


async def test_an_end_that_nobody_knows_is_told_and_not_tried_again(
    dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path, store: Store
) -> None:
    smtp.script = Script(AUTH, steps={"end": hang_up(takes=True)})
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store) as client:
        id_ = await _later(client, 1)
        shown = await _status(client, id_, "final")
        status = shown["deliveryStatus"]["ann@example.net"]
        assert (status["delivered"], status["smtpReply"][:9]) == ("unknown", "451 4.4.2")
        await _none_held(store)
    assert len(smtp.messages) == 1


async def test_what_a_gateway_left_in_the_middle_is_told_and_not_tried_again(
    dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path, store: Store
) -> None:
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store) as client:
        held = await _later(client, subject="held")
        sent = (await client.submit(await client.draft(subject="sent")))["id"]
        account_id = client.account.id
    await _due_now(store, held, by="another", may_have_left=True, claimed_until=time.time() - 1)

    def leave(kept: Kept) -> Kept:
        submission = Submission.of(kept.value(sent) or {})
        return kept.put(sent, replace(submission, sending_until=time.time() - 1).value)

    await Records(store.durable, account_id, "submissions").change(leave)
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store) as client:
        for id_ in (held, sent):
            shown = await _status(client, id_, "final")
            (status,) = shown["deliveryStatus"].values()
            assert (status["delivered"], status["smtpReply"][:9]) == ("unknown", "451 4.4.2")
        await _none_held(store)
    assert len(smtp.messages) == 1


async def test_what_never_came_to_be_does_not_leave(
    dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path, store: Store
) -> None:
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store) as client:
        id_ = await _later(client)
        await client.call("EmailSubmission/set", destroy=[id_])
    await _due_now(store, id_, is_told=False, made=time.time() - 2 * due.ORPHAN_SECONDS)
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store):
        await _none_held(store)
    assert smtp.messages == []


@pytest.mark.checklist("U04", "U05")
async def test_a_server_that_can_hold_messages_does(
    dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path, store: Store
) -> None:
    smtp.script = Script((*AUTH, "FUTURERELEASE 86400 2030-01-01T00:00:00Z"))
    async with sending(dovecot, mailuser, tmp_path, smtp.port, store=store) as client:
        await client.submit(await client.draft(subject="now"))  # the server has told what it can
        mail_from = {"email": client.address, "parameters": {"HOLDFOR": "3600"}}
        email_id = await client.draft()
        created = await client.submit(email_id, envelope={"mailFrom": mail_from, "rcptTo": TO})
        assert created["undoStatus"] == "final"
        assert "HOLDFOR=3600" in smtp.messages[1].mail
        answer = await client.call(
            "EmailSubmission/set", update={created["id"]: {"undoStatus": "canceled"}}
        )
        assert answer["notUpdated"][created["id"]]["type"] == "cannotUnsend"
        assert await _held(store) == []
        # Longer than the server would, the gateway does.
        await _later(client, 100_000)
        assert len(await _held(store)) == 1


@pytest.mark.parametrize("value", ["2592060", "x"])
async def test_no_message_is_held_for_ever(sender: SendingClient, value: str) -> None:
    mail_from = {"email": sender.address, "parameters": {"HOLDFOR": value}}
    email_id = await sender.draft()
    error = await sender.submit(email_id, envelope={"mailFrom": mail_from, "rcptTo": TO})
    assert (error["type"], error["properties"]) == ("invalidProperties", ["envelope"])
