"""RFC 9051: an IMAP server of a few lines, with one mailbox, for tests to make wrong in one place.

A test takes `Small` and replaces the method whose answers are to be odd or hostile.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.imap.connection import Endpoint
from gateway.sasl import Credentials
from gateway.store.opening import open_store
from gateway.sync.account import Account
from gateway.sync.accounts import Accounts, Settings
from tests.servers.scripted import Peer, Received, Scripted

_ITEM = re.compile(
    rb"(BODY)\.PEEK\[([^]]*)\](?:<(\d+)\.(\d+)>)?|(UID|FLAGS|INTERNALDATE|RFC822\.SIZE|BODYSTRUCTURE)"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the mailbox."""

    uid: int
    octets: bytes = b"Subject: hello\r\nMessage-ID: <1@x>\r\n\r\nHello.\r\n"
    flags: bytes = b""
    date: bytes = b"01-Mar-2024 09:00:00 +0000"

    @property
    def header(self) -> bytes:
        """All header fields, with the empty line."""
        return self.octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    @property
    def body(self) -> bytes:
        """What follows."""
        return self.octets.partition(b"\r\n\r\n")[2]


class Small:
    """Serves each connection; call it as a script of `Scripted`."""

    capabilities = b"IMAP4rev1 LITERAL+ ID"
    name = b"Small"

    def __init__(self, *letters: Letter) -> None:
        self.letters = letters or (Letter(1),)

    async def __call__(self, peer: Peer) -> None:
        """One connection, from the greeting on."""
        await peer.greet(self.capabilities + b" AUTH=PLAIN SASL-IR")
        while True:
            command = await peer.command()
            verb = command.line.upper().removeprefix(b"UID ").split(b" ")[0].decode()
            await getattr(self, verb.lower(), self.other)(peer, command)

    async def other(self, peer: Peer, command: Received) -> None:
        """What is in no method of its own."""
        await peer.ok(command)

    async def authenticate(self, peer: Peer, command: Received) -> None:
        """Everybody is let in."""
        await peer.ok(command, code=b"[CAPABILITY %s] " % self.capabilities)

    async def id(self, peer: Peer, command: Received) -> None:
        """RFC 2971."""
        await peer.ok(command, b'* ID ("name" "%s")' % self.name)

    async def list(self, peer: Peer, command: Received) -> None:
        """RFC 9051 §6.3.9."""
        await peer.ok(command, b'* LIST (\\HasNoChildren) "/" INBOX')

    async def status(self, peer: Peer, command: Received) -> None:
        """RFC 9051 §6.3.11."""
        await peer.ok(command, b"* STATUS INBOX (%s)" % self.figures())

    def figures(self) -> bytes:
        """The STATUS items."""
        uidnext = self.letters[-1].uid + 1
        unseen = sum(b"\\Seen" not in letter.flags for letter in self.letters)
        count = len(self.letters)
        return b"MESSAGES %d UNSEEN %d UIDNEXT %d UIDVALIDITY 7" % (count, unseen, uidnext)

    async def examine(self, peer: Peer, command: Received) -> None:
        """RFC 9051 §6.3.3."""
        await peer.ok(command, *self.selected(), code=b"[READ-ONLY] ")

    def selected(self) -> Sequence[bytes]:
        """The untagged responses to EXAMINE."""
        return (
            b"* %d EXISTS" % len(self.letters),
            b"* FLAGS (\\Seen)",
            b"* OK [UIDVALIDITY 7] ok",
            b"* OK [UIDNEXT %d] ok" % (self.letters[-1].uid + 1),
        )

    async def search(self, peer: Peer, command: Received) -> None:
        """RFC 9051 §6.4.4: whatever is asked, all messages."""
        uids = b" ".join(b"%d" % letter.uid for letter in self.letters)
        await peer.ok(command, b"* SEARCH " + uids)

    async def fetch(self, peer: Peer, command: Received) -> None:
        """RFC 9051 §6.4.5."""
        _, _, uids, asked = command.line.split(b" ", 3)
        wanted = [self.letters[i] for i in self._indices(uids)]
        numbers = {letter.uid: number for number, letter in enumerate(self.letters, 1)}
        rows = [line for each in wanted for line in self.rows(numbers[each.uid], each, asked)]
        await peer.ok(command, *rows)

    def _indices(self, uids: bytes) -> Iterator[int]:
        spans = [part.replace(b"*", b"9999999999").split(b":") for part in uids.split(b",")]
        for index, letter in enumerate(self.letters):
            if any(int(span[0]) <= letter.uid <= int(span[-1]) for span in spans):
                yield index

    def rows(self, number: int, letter: Letter, asked: bytes) -> Sequence[bytes]:
        """The responses that tell of one message."""
        items = b" ".join(self.items(letter, asked))
        return (b"* %d FETCH (%s)" % (number, items),)

    def items(self, letter: Letter, asked: bytes) -> Sequence[bytes]:
        """The items of a row, each with its name."""
        return [self.item(letter, match) for match in _ITEM.finditer(asked)]

    def item(self, letter: Letter, asked: re.Match[bytes]) -> bytes:
        """One item: `asked` has the section as group 2, its window as 3 and 4, any other as 5."""
        match asked[5]:
            case b"UID":
                return b"UID %d" % letter.uid
            case b"FLAGS":
                return b"FLAGS (%s)" % letter.flags
            case b"INTERNALDATE":
                return b'INTERNALDATE "%s"' % letter.date
            case b"RFC822.SIZE":
                return b"RFC822.SIZE %d" % len(letter.octets)
            case b"BODYSTRUCTURE":
                return b"BODYSTRUCTURE " + self.structure(letter)
        octets = self.section(letter, asked[2])
        origin = b""
        if asked[3] is not None:
            octets = octets[int(asked[3]) :][: int(asked[4])]
            origin = b"<%s>" % asked[3]
        return b"BODY[%s]%s {%d}\r\n%s" % (asked[2], origin, len(octets), octets)

    def structure(self, letter: Letter) -> bytes:
        """The BODYSTRUCTURE."""
        size, lines = len(letter.body), letter.body.count(b"\n")
        return b'("text" "plain" ("charset" "utf-8") NIL NIL "7bit" %d %d)' % (size, lines)

    def section(self, letter: Letter, name: bytes) -> bytes:
        """The octets of a section."""
        if name.startswith(b"HEADER"):
            return letter.header
        return letter.octets if not name else letter.body


@asynccontextmanager
async def account_of(
    server: Scripted, directory: Path, *, silence: float = 10.0
) -> AsyncIterator[Account]:
    """Give the account of a user whose server this is, in a gateway of its own."""
    endpoint = Endpoint("127.0.0.1", server.port, "plain")
    settings = Settings(endpoint, None, connect_seconds=silence, silence_seconds=silence)
    store = open_store("memory://", b"x" * 32, directory)
    accounts = Accounts(settings, store)
    try:
        yield await accounts.login(Credentials("someone", "secret"), "127.0.0.1")
    finally:
        await accounts.close()
        await store.close()
