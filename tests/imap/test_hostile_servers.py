"""RFC 9051 §7: servers that mean ill, or are broken, in front of a whole account.

Each ends in a clear error or in what is right, in time, and makes the gateway keep little.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.imap import pool
from gateway.imap.connection import Connection
from gateway.imap.errors import ImapError
from gateway.sync import account as account_module
from gateway.sync.memory import give_back
from tests.mail.client import Client, Refused
from tests.servers.scripted import Peer, Received, Script, Scripted
from tests.servers.small import Letter, Small, account_of

_PATIENCE = 60.0
_OCTETS = 32 << 20
"""Memory that any of them may cost at any time."""

HELLO = ["hello"]
"""The subjects of the mailbox that `Small` has."""


def _hurry(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have every deadline so soon, instead of after a minute."""
    for name in ("run", "run_all", "stream"):
        monkeypatch.setitem(getattr(Connection, name).__kwdefaults__, "timeout", seconds)
    for name in ("CHECK_DEADLINE", "INDEX_DEADLINE"):
        monkeypatch.setattr(account_module, name, 3 * seconds)
    monkeypatch.setattr(pool, "_BACKOFF_FIRST", 0.01)
    monkeypatch.setattr(pool, "_BACKOFF_LAST", 0.02)


# --- Greetings -------------------------------------------------------------------------------


async def says_nothing(peer: Peer) -> None:
    await peer.gone()


async def greets_with_garbage(peer: Peer) -> None:
    await peer.send_raw(bytes(range(256)) * 100)
    await peer.gone()


async def greets_without_end(peer: Peer) -> None:
    await peer.send_raw(b"* OK ")
    while True:
        await peer.send_raw(b"x" * 65_536)


async def drips(peer: Peer) -> None:
    """An octet now and then, so that it is never silent."""
    while True:
        await peer.send_raw(b"*")
        await asyncio.sleep(0.05)


async def refuses_everything(peer: Peer) -> None:
    await peer.accept_login()
    while True:
        command = await peer.command()
        await peer.send(command.tag + b" BAD what?")


# --- Answers ---------------------------------------------------------------------------------


class WrongTag(Small):
    async def list(self, peer: Peer, command: Received) -> None:
        await peer.send(b"zz99 OK done")


class EndlessLine(Small):
    async def list(self, peer: Peer, command: Received) -> None:
        await peer.send_raw(b"* LIST (")
        while True:
            await peer.send_raw(b"\\x " * 20_000)


class EndlessUntagged(Small):
    async def list(self, peer: Peer, command: Received) -> None:
        while True:
            await peer.send(*[b"* OK still at it"] * 1_000)


class SlowDrip(Small):
    async def list(self, peer: Peer, command: Received) -> None:
        while True:
            await peer.send_raw(b"*")
            await asyncio.sleep(0.05)


class MillionMailboxes(Small):
    async def list(self, peer: Peer, command: Received) -> None:
        for start in range(0, 1_000_000, 1_000):
            lines = [b'* LIST () "/" box%d' % n for n in range(start, start + 1_000)]
            await peer.send(*lines)
        await peer.ok(command)


class DeepList(Small):
    async def list(self, peer: Peer, command: Received) -> None:
        await peer.ok(command, b"* LIST " + b"(" * 100_000 + b")" * 100_000)


class LongNames(Small):
    async def list(self, peer: Peer, command: Received) -> None:
        name = b"&AOQ-" * 20_000
        await peer.ok(command, b'* LIST () "/" INBOX', b'* LIST (\\Noselect) "/" "%s"' % name)


class NameWithACommand(Small):
    async def list(self, peer: Peer, command: Received) -> None:
        name = b'x\r\ng99 DELETE "INBOX"'
        literal = b"{%d}\r\n%s" % (len(name), name)
        await peer.ok(command, b'* LIST () "/" INBOX', b'* LIST () "/" ' + literal)

    async def delete(self, peer: Peer, command: Received) -> None:
        raise AssertionError("a name became a command")


class Continuations(Small):
    async def examine(self, peer: Peer, command: Received) -> None:
        for _ in range(100):
            await peer.send(*[b"+ go on"] * 1_000)
        await super().examine(peer, command)


class Capabilities(Small):
    async def examine(self, peer: Peer, command: Received) -> None:
        names = b" ".join(b"X%d" % number for number in range(50_000))
        await peer.send(b"* CAPABILITY IMAP4rev1 " + names)
        await super().examine(peer, command)


class Expunges(Small):
    async def search(self, peer: Peer, command: Received) -> None:
        for _ in range(100):
            await peer.send(*[b"* 1 EXPUNGE"] * 1_000)
        await super().search(peer, command)


class NegativeExists(Small):
    def selected(self) -> Sequence[bytes]:
        return (b"* -1 EXISTS",)


class NegativeNumbers(Small):
    def selected(self) -> Sequence[bytes]:
        return b"* 1 EXISTS", b"* OK [UIDVALIDITY -7] ok", b"* OK [UIDNEXT -2] ok"

    def figures(self) -> bytes:
        return b"MESSAGES -1 UNSEEN -5 UIDNEXT -1 UIDVALIDITY 7"


class GiantNumbers(Small):
    def selected(self) -> Sequence[bytes]:
        return (
            b"* 9999999999 EXISTS",
            b"* OK [UIDVALIDITY 7] ok",
            b"* OK [UIDNEXT 99999999999999999999999] ok",
            b"* OK [HIGHESTMODSEQ 9999999999999999999] ok",
        )

    def figures(self) -> bytes:
        return b"MESSAGES 1%s UNSEEN 1 UIDNEXT 9999999999 UIDVALIDITY 7" % (b"0" * 30)


class NothingSelected(Small):
    def selected(self) -> Sequence[bytes]:
        return ()


class UpAndDown(Small):
    times = 0

    def selected(self) -> Sequence[bytes]:
        self.times += 1
        exists = b"* %d EXISTS" % (7919 * self.times % 1000)
        return exists, b"* OK [UIDVALIDITY 7] ok", b"* 0 EXISTS", exists


class OtherEachTime(Small):
    """RFC 9051 §2.3.1.1: a UIDVALIDITY that never holds."""

    times = 0

    def selected(self) -> Sequence[bytes]:
        self.times += 1
        return b"* 1 EXISTS", b"* OK [UIDVALIDITY %d] ok" % self.times, b"* OK [UIDNEXT 2] ok"


class ManyFlags(Small):
    flags = b" ".join(b"flag%d" % number for number in range(60_000))

    def selected(self) -> Sequence[bytes]:
        return *super().selected(), b"* FLAGS (%s)" % self.flags

    def item(self, letter: Letter, asked: re.Match[bytes]) -> bytes:
        return b"FLAGS (%s)" % self.flags if asked[5] == b"FLAGS" else super().item(letter, asked)


class AllUids(Small):
    capabilities = b"IMAP4rev1 LITERAL+ ESEARCH"

    async def search(self, peer: Peer, command: Received) -> None:
        await peer.ok(command, b"* ESEARCH UID ALL 1:4294967295")


class BillionsAgainAndAgain(AllUids):
    async def search(self, peer: Peer, command: Received) -> None:
        for _ in range(1_000):
            await peer.send(b"* ESEARCH UID ALL 1:1000000")
        await peer.ok(command)


class Ghosts(Small):
    """Finds messages that it can not fetch."""

    async def search(self, peer: Peer, command: Received) -> None:
        await peer.ok(command, b"* SEARCH " + b" ".join(b"%d" % uid for uid in range(1, 6_000)))


class UidsThatAreNone(Small):
    async def search(self, peer: Peer, command: Received) -> None:
        await peer.ok(command, b"* SEARCH 0 1 4294967296 99999999999999999999 -3 x")


# --- Rows ------------------------------------------------------------------------------------


def rows(*lines: bytes) -> type[Small]:
    """A server that says this, and then OK, to every FETCH of header fields."""

    class Says(Small):
        async def fetch(self, peer: Peer, command: Received) -> None:
            if b"HEADER" in command.line:
                await peer.ok(command, *lines)
            else:
                await super().fetch(peer, command)

    return Says


def raw(octets: bytes, *, close: bool = False) -> type[Small]:
    """A server that says this to every FETCH of header fields, and then nothing more."""

    class Says(Small):
        async def fetch(self, peer: Peer, command: Received) -> None:
            if b"HEADER" in command.line:
                await peer.send_raw(octets)
                if close:
                    peer.close()
                await peer.gone()
            else:
                await super().fetch(peer, command)

    return Says


_FIELDS = (
    b"BODY[HEADER.FIELDS (DATE SUBJECT FROM SENDER REPLY-TO TO CC BCC MESSAGE-ID IN-REPLY-TO"
    b" REFERENCES)]<0>"
)


def row(uid: bytes = b"1", header: bytes = b"Subject: hello\r\n\r\n") -> bytes:
    start = b'* 1 FETCH (UID %s FLAGS () INTERNALDATE "01-Mar-2024 09:00:00 +0000" RFC822.SIZE 9 '
    return start % uid + _FIELDS + b" {%d}\r\n%s)" % (len(header), header)


class EndlessRows(Small):
    async def fetch(self, peer: Peer, command: Received) -> None:
        uid = 1
        while True:
            await peer.send(*(row(b"%d" % each) for each in range(uid, uid + 500)))
            uid += 500


class EndlessNews(Small):
    async def fetch(self, peer: Peer, command: Received) -> None:
        while True:
            await peer.send(*[b"* 1 FETCH (FLAGS (\\Seen))", b"* 2 FETCH (UID 5)"] * 500)


class ByeInTheMiddle(Small):
    times = 1

    async def fetch(self, peer: Peer, command: Received) -> None:
        if self.times:
            self.times -= 1
            await peer.send_raw(row()[:60] + b"\r\n* BYE going down\r\n")
            peer.close()
        else:
            await super().fetch(peer, command)


class DeepStructure(Small):
    def structure(self, letter: Letter) -> bytes:
        return b"(" * 100_000 + b")" * 100_000


class WideStructure(Small):
    def structure(self, letter: Letter) -> bytes:
        return b"(%s)" % (b"()" * 400_000)


IMITATION = b"Subject: hello\r\n\r\n)\r\n" + row(b"666") + b"\r\n* BYE\r\n"
ERROR = None

SERVERS: dict[str, tuple[Callable[[], Script], Sequence[list[str] | None]]] = {
    "no greeting": (lambda: says_nothing, [ERROR]),
    "a greeting of garbage": (lambda: greets_with_garbage, [ERROR]),
    "a greeting without end": (lambda: greets_without_end, [ERROR]),
    "a greeting drop by drop": (lambda: drips, [ERROR]),
    "BAD to everything": (lambda: refuses_everything, [ERROR]),
    "a wrong tag": (WrongTag, [ERROR]),
    "a line without end": (EndlessLine, [ERROR]),
    "untagged lines without end": (EndlessUntagged, [ERROR]),
    "an answer drop by drop": (SlowDrip, [ERROR]),
    "a million mailboxes": (MillionMailboxes, [ERROR]),
    "a deep LIST": (DeepList, [ERROR]),
    "long names": (LongNames, [HELLO]),
    "a name with a command in it": (NameWithACommand, [HELLO]),
    "continuation requests": (Continuations, [HELLO]),
    "50,000 capabilities": (Capabilities, [HELLO]),
    "100,000 expunges": (Expunges, [HELLO]),
    "a negative number": (NegativeExists, [ERROR]),
    "negative numbers": (NegativeNumbers, [HELLO]),
    "giant numbers": (GiantNumbers, [HELLO]),
    "a mailbox without figures": (NothingSelected, [HELLO]),
    "EXISTS up and down": (UpAndDown, [HELLO]),
    "another UIDVALIDITY each time": (OtherEachTime, [HELLO, [], ERROR]),
    "60,000 flags": (ManyFlags, [HELLO]),
    "all UIDs there can be": (AllUids, [ERROR]),
    "a million UIDs, a thousand times": (BillionsAgainAndAgain, [ERROR]),
    "messages that are not there": (Ghosts, [HELLO]),
    "UIDs that are none": (UidsThatAreNone, [HELLO]),
    "UID 0": (rows(row(b"0")), [ERROR, []]),
    "a UID of 33 bits": (rows(row(b"4294967296")), [ERROR, []]),
    "a UID of 5,000 digits": (rows(row(b"9" * 5_000)), [ERROR, []]),
    "a UID twice": (rows(row(), row(), row(b"01")), [HELLO]),
    "rows of unknown messages without end": (EndlessRows, [ERROR, []]),
    "news without end": (EndlessNews, [ERROR, []]),
    "a header like a row": (rows(row(header=IMITATION)), [HELLO]),
    "a huge literal": (raw(b"* 1 FETCH (UID 1 BODY[] {100000000}\r\n"), [ERROR, []]),
    "a literal of 5,000 digits": (raw(b"* 1 FETCH (X {%s}\r\n" % (b"9" * 5_000)), [ERROR, []]),
    "a literal of a negative length": (rows(b"* 1 FETCH (UID 1 X {-1}", row()), [ERROR, []]),
    "a literal that does not end": (raw(row()[:-9]), [ERROR, []]),
    "a literal cut off": (raw(row()[:-9], close=True), [ERROR, []]),
    "many literals": (raw(b"* 1 FETCH (" + b"{0}\r\n" * 50_000), [ERROR, []]),
    "unbalanced parentheses": (rows(b"* 1 FETCH (UID 1 FLAGS (", row()), [ERROR, []]),
    "garbage among rows": (rows(bytes(range(256)), row()), [ERROR, []]),
    "BYE in the middle": (ByeInTheMiddle, [HELLO]),
    "a deep structure": (DeepStructure, [HELLO]),
    "a wide structure": (WideStructure, [HELLO]),
}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def _watched() -> AsyncIterator[Callable[[], int]]:
    """Give a function that tells the most memory there was, more than before."""
    await give_back()
    before = most = _resident()

    async def watch() -> None:
        nonlocal most
        while True:
            await asyncio.sleep(0.01)
            most = max(most, _resident())

    watching = asyncio.create_task(watch())
    try:
        yield lambda: most - before
    finally:
        watching.cancel()


async def _subjects(server: Scripted, directory: Path, seconds: float) -> list[str] | None:
    """The subjects of all Emails; None after an error that a client is told."""
    try:
        async with account_of(server, directory, silence=seconds) as account:
            client = Client(account)
            emails = await client.emails(properties=["subject", "keywords", "bodyStructure"])
            await account.attachments_known()
            return [email["subject"] for email in emails]
    except (ImapError, Refused):
        return None


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is loaded and allocated once is not what a server costs."""

    async def run() -> None:
        async with Scripted(Small()) as server:
            assert await _subjects(server, tmp_path_factory.mktemp("warm"), 30.0) == HELLO

    asyncio.run(run())


@pytest.mark.threat("R23")
@pytest.mark.quirk(54)
@pytest.mark.parametrize("name", SERVERS)
async def test_a_hostile_server_is_an_error_or_understood(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, expected = SERVERS[name]
    seconds = 10.0 if HELLO in expected else 1.0
    _hurry(monkeypatch, seconds)
    async with Scripted(make()) as server, _watched() as growth, asyncio.timeout(_PATIENCE):
        subjects = await _subjects(server, tmp_path, seconds)
        assert growth() < _OCTETS
    assert subjects in expected


def test_there_are_enough_of_them() -> None:
    made: list[Any] = [make for make, _ in SERVERS.values()]
    assert len(made) >= 25
