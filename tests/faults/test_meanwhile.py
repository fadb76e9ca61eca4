"""RFC 9051 §5.5: another client does something between any two commands of a write."""

from __future__ import annotations

import imaplib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.mailboxes import TWICE, world
from tests.faults.runs import Named, running
from tests.faults.scenes import SCENES, Blobs
from tests.servers.cutting import Cut
from tests.sync.letters import message_id

Act = Callable[[imaplib.IMAP4], None]


def _uids(client: imaplib.IMAP4, mailbox: str, number: int) -> str:
    """The UID of a letter in a mailbox, which is selected; "" when it is not there."""
    client.select(mailbox)
    _, found = client.uid("SEARCH", "HEADER", "Message-ID", f"<{message_id(number)}>")
    return (found[0] or b"").decode()


def _expunge(client: imaplib.IMAP4) -> None:
    for number in (1, 3):
        if uids := _uids(client, "INBOX", number):
            client.uid("STORE", uids, "+FLAGS.SILENT", "(\\Deleted)")
            client.uid("EXPUNGE", uids)


def _move(client: imaplib.IMAP4) -> None:
    for number in (1, 2):
        if not _uids(client, "B", number) and (uids := _uids(client, "INBOX", number)):
            client.uid("MOVE", uids, "B")


def _flag(client: imaplib.IMAP4) -> None:
    for number in (1, 2):
        if uids := _uids(client, "INBOX", number):
            client.uid("STORE", uids, "+FLAGS.SILENT", "(green)")


def _delete(client: imaplib.IMAP4) -> None:
    client.delete("B")


@pytest.mark.parametrize("act", [_expunge, _move, _flag, _delete])
@pytest.mark.parametrize("name", ["keywords", "mailboxes", "destroy", "import"])
async def test_what_others_do_is_neither_undone_nor_done_twice(
    name: str, act: Act, server_named: Named, tmp_path: Path, blobs: Blobs
) -> None:
    server = server_named("everything")
    async with running(server, tmp_path, blobs) as run:
        others: set[str] = set()
        gone: set[str] = set()

        def action() -> None:
            was = world(server, run.user)
            with server.imap(run.user) as client:
                act(client)
            now = world(server, run.user)
            others.update(name for name in was if was[name] != now.get(name))
            gone.update(was.keys() - now.keys())
            if act is _delete:  # a copy of these is gone, and the other one may be about to go
                gone.update(others)

        run.proxy.action = action
        async for _ in run.each(SCENES[name], Cut.MEANWHILE):
            run.check(others)
            kept = run.before.keys() - gone
            if name == "destroy":
                kept -= run.outcomes.keys()
            assert kept <= run.now.keys(), run.command
            others.clear()
            gone.clear()


async def test_no_message_is_lost_that_others_move_to_where_it_is_taken_away(
    server_named: Named, tmp_path: Path, blobs: Blobs
) -> None:
    """Letter 3 is to stay in B alone, and somebody moves it to the inbox, where it is as well."""
    server = server_named("everything")
    async with running(server, tmp_path, blobs) as run:

        def action() -> None:
            with server.imap(run.user) as client:
                if uids := _uids(client, "B", TWICE):
                    client.uid("MOVE", uids, "INBOX")

        run.proxy.action = action
        async for _ in run.each(SCENES["mailboxes"], Cut.MEANWHILE):
            assert run.before.keys() <= run.now.keys(), run.command


@pytest.mark.parametrize("name", ["keywords", "mailboxes", "destroy", "import"])
async def test_a_mailbox_that_is_renumbered_has_what_it_is_to_have(
    name: str, server_named: Named, tmp_path: Path, blobs: Blobs
) -> None:
    """RFC 9051 §2.3.1.1: UIDs that were known mean nothing any more."""
    server = server_named("everything")
    validities = iter(range(2_000_000_000, 2_000_001_000))
    async with running(server, tmp_path, blobs) as run:

        def renumber() -> None:
            for mailbox in ("INBOX", "A"):
                arguments = ("-u", run.user.username, "--uid-validity", f"{next(validities)}")
                server.doveadm("mailbox", "update", *arguments, mailbox)

        run.proxy.action = renumber
        async for _ in run.each(SCENES[name], Cut.MEANWHILE):
            run.check()
