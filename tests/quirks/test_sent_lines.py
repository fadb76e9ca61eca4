"""RFC 9051 §6: what servers misunderstand is never sent."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.imap.command import Command
from gateway.imap.commands.append import Append
from gateway.imap.commands.copy import Copy
from gateway.imap.commands.create import Create
from gateway.imap.commands.delete import Delete
from gateway.imap.commands.enable import Enable
from gateway.imap.commands.examine import Close, Examine, Unselect
from gateway.imap.commands.expunge import Expunge, UidExpunge
from gateway.imap.commands.fetch import Fetch
from gateway.imap.commands.fetch_changes import FetchChanges
from gateway.imap.commands.id import Id
from gateway.imap.commands.list import List
from gateway.imap.commands.login import Authenticate, AuthenticateLogin, Login
from gateway.imap.commands.logout import Logout
from gateway.imap.commands.move import Move
from gateway.imap.commands.namespace import NamespaceCommand
from gateway.imap.commands.noop import Noop
from gateway.imap.commands.quota import GetQuotaRoot
from gateway.imap.commands.rename import Rename
from gateway.imap.commands.search import Search, Sort
from gateway.imap.commands.select import Select
from gateway.imap.commands.status import StatusOf
from gateway.imap.commands.store import Store
from gateway.imap.commands.subscribe import Subscribe, Unsubscribe
from gateway.imap.wire import criteria, encode, items
from gateway.imap.wire.encode import Literals, Upload
from gateway.sasl import Credentials, Plain
from gateway.sync.fetching import HEADER
from tests.mail.client import Client
from tests.quirks.shown import inbox, letters
from tests.servers.scripted import Peer, Received, Scripted
from tests.servers.small import Small, account_of

USER = Credentials("u", "p")
PLAIN = Plain("u", "p")
_NAME = encode.mailbox_name("Grüße *")


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in (b"",):
        yield chunk


COMMANDS: list[Command[Any]] = [
    Append(_NAME, Upload(0, _nothing())),
    Append(_NAME, Upload(0, _nothing()), ["\\Seen"], datetime(2024, 1, 1, tzinfo=UTC)),
    AuthenticateLogin(USER),
    Authenticate(PLAIN, initial=False),
    Authenticate(PLAIN, initial=True),
    Close(),
    Copy(b"1", _NAME),
    Create(_NAME, "/"),
    Create(_NAME, None, "\\Archive"),
    Delete(_NAME),
    Enable(["CONDSTORE"]),
    Examine(_NAME),
    Examine(_NAME, condstore=True),
    Expunge(),
    Fetch(b"1:*", []),
    Fetch(b"1", [items.FLAGS, items.BODYSTRUCTURE, HEADER, items.section()]),
    FetchChanges(b"1", [items.UID, items.FLAGS], 5, vanished=True),
    GetQuotaRoot(_NAME),
    Id({}),
    Id({"name": "x"}),
    List(),
    List(["SUBSCRIBED"], ["MESSAGES"]),
    List(verb="LSUB"),
    Login(USER),
    Logout(),
    Move(b"1", _NAME),
    NamespaceCommand(),
    Noop(),
    Rename(_NAME, b"x"),
    Search(criteria.ALL, extended=False),
    Search(criteria.text("SUBJECT", ""), extended=True),
    Select(_NAME),
    Sort(["DATE"], criteria.ALL, 5),
    StatusOf(_NAME, ["MESSAGES"]),
    Store(b"1", "+FLAGS", ["\\Seen"]),
    Store(b"1", "FLAGS", []),
    Subscribe(_NAME),
    UidExpunge(b"1"),
    Unselect(),
    Unsubscribe(_NAME),
]
_MACRO = re.compile(rb" (?:ALL|FULL|FAST|\(ALL\)|\(FULL\)|\(FAST\))")


@pytest.mark.quirk(22, 39)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_no_spaces_at_the_end_no_double_ones_no_macros(command: Command[Any]) -> None:
    writes = encode.serialise(b"a", command.encode(), Literals.ALL)
    line = b"".join(write.octets for write in writes).partition(b"\r\n")[0]
    assert not line.endswith(b" "), line
    assert b"  " not in line.replace(b'" 1-Jan', b'"1-Jan'), line
    if isinstance(command, Fetch):
        assert not _MACRO.search(line), line
        assert not re.search(rb"RFC822(?!\.SIZE)", line), line
        assert not re.search(rb"BODY\[", line), line


@pytest.mark.quirk(22)
def test_no_mailbox_is_made_with_a_delimiter_at_its_end() -> None:
    with pytest.raises(ValueError, match="delimiter"):
        Create(b"Work/", "/")
    with pytest.raises(ValueError, match="delimiter"):
        Create(b"INBOX.Work.", ".")
    assert Create(b"Work/", ".").encode().line == b"CREATE Work/"


@pytest.mark.quirk(21)
@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("*", b'"*"'),
        ("100%", b'"100%"'),
        ("Grüße *", b'"Gr&APwA3w-e *"'),
        ("[Gmail]/All Mail", b'"[Gmail]/All Mail"'),
        ("日本", b"&ZeVnLA-"),
        ("a & b", b'"a &- b"'),
        ('say "x"', b'"say \\"x\\""'),
    ],
)
def test_labels_are_quoted_and_in_modified_utf_7(name: str, written: bytes) -> None:
    """On Gmail a label is a mailbox, and named by nothing else."""
    assert encode.mailbox(encode.mailbox_name(name)).line == written


class Exchange(Small):
    """Has no LSUB in the mode of IMAP4rev2."""

    refusal = b"BAD Command Error. 11"

    async def list(self, peer: Peer, command: Received) -> None:
        subscribed = b" \\Subscribed" if b"SUBSCRIBED" in command.line else b""
        await peer.ok(command, b'* LIST (\\HasNoChildren%s) "/" INBOX' % subscribed)

    async def lsub(self, peer: Peer, command: Received) -> None:
        await peer.send(command.tag + b" " + self.refusal)


@pytest.mark.quirk(13)
@pytest.mark.parametrize("extended", [True, False])
async def test_lsub_is_a_fallback_that_may_fail(tmp_path: Path, extended: bool) -> None:
    small = Exchange(*letters(1, 2))
    if extended:
        small.capabilities = b"IMAP4rev1 LITERAL+ ID LIST-EXTENDED"
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert set(await inbox(account)) == {1, 2}
        assert all(mailbox.is_subscribed for mailbox in account.data.mailboxes.values())
        assert any(each.verb == b"LSUB" for each in server.received) is not extended


@pytest.mark.quirk(28, 39)
async def test_messages_are_named_by_uid_and_read_by_peeking(tmp_path: Path) -> None:
    small = Small(*letters(1, 2, 3))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        client = Client(account)
        emails = await client.emails(properties=["subject", "preview", "bodyStructure"])
        assert len(emails) == 3
        for each in server.received:
            assert each.verb not in (b"FETCH", b"SEARCH", b"SORT", b"STORE", b"COPY", b"MOVE")
            assert b"BODY[" not in each.line
            assert not re.search(rb"RFC822(?!\.SIZE)", each.line)
