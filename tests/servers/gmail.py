"""RFC 9051 as Gmail has it: labels are mailboxes, and nearly every message is in All Mail too."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from tests.servers.scripted import Peer, Received
from tests.servers.small import Letter, Small


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled(Letter):
    """A message in one of its mailboxes: X-GM-MSGID and X-GM-THRID are the same in all."""

    msgid: int
    thrid: int


@dataclass(frozen=True, slots=True)
class Label:
    """A mailbox: its attributes, as LIST tells them, and its messages by UID."""

    attributes: bytes
    letters: tuple[Labelled, ...] = ()
    uidvalidity: int = 1


class Gmail(Small):
    """Serves the labels, by wire name; each connection selects for itself."""

    capabilities = (
        b"IMAP4rev1 UNSELECT NAMESPACE ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS ENABLE MOVE"
        b" LIST-EXTENDED LIST-STATUS LITERAL+ SPECIAL-USE"
    )
    name = b"GImap"

    def __init__(self, labels: dict[bytes, Label]) -> None:
        super().__init__()
        self.labels = labels

    async def __call__(self, peer: Peer) -> None:
        """One connection, from the greeting on."""
        await Small.__call__(copy.copy(self), peer)

    async def namespace(self, peer: Peer, command: Received) -> None:
        """RFC 2342."""
        await peer.ok(command, b'* NAMESPACE (("" "/")) NIL NIL')

    async def list(self, peer: Peer, command: Received) -> None:
        """RFC 9051 §6.3.9, RFC 5819."""
        lines = []
        for wire, label in self.labels.items():
            lines.append(b'* LIST (%s) "/" "%s"' % (label.attributes, wire))
            if b"STATUS" in command.line and b"\\Noselect" not in label.attributes:
                lines.append(b'* STATUS "%s" (%s)' % (wire, _figures(label)))
        await peer.ok(command, *lines)

    async def examine(self, peer: Peer, command: Received) -> None:
        """RFC 9051 §6.3.3."""
        label = self.labels[command.line.split(b" ", 1)[1].strip(b'"')]
        self.letters = label.letters
        exists, uidnext = len(label.letters), _uidnext(label)
        await peer.ok(
            command,
            b"* %d EXISTS" % exists,
            b"* OK [UIDVALIDITY %d]" % label.uidvalidity,
            b"* OK [UIDNEXT %d]" % uidnext,
            code=b"[READ-ONLY] ",
        )

    def items(self, letter: Letter, asked: bytes) -> Sequence[bytes]:
        """The items of a row, those of Gmail first."""
        assert isinstance(letter, Labelled)
        named = {b"X-GM-MSGID": letter.msgid, b"X-GM-THRID": letter.thrid}
        own = [b"%s %d" % (name, value) for name, value in named.items() if name in asked]
        return [*own, *super().items(letter, asked)]


def _uidnext(label: Label) -> int:
    return max((letter.uid for letter in label.letters), default=0) + 1


def _figures(label: Label) -> bytes:
    unseen = sum(b"\\Seen" not in letter.flags for letter in label.letters)
    figures = (len(label.letters), unseen, _uidnext(label), label.uidvalidity)
    return b"MESSAGES %d UNSEEN %d UIDNEXT %d UIDVALIDITY %d" % figures
