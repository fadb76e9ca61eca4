"""RFC 9051 §6.4.7: UID COPY; RFC 4315 §3: COPYUID."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from gateway.imap import refusals
from gateway.imap.command import Command, Commander
from gateway.imap.errors import CommandRefused, ProtocolError
from gateway.imap.wire import encode, uidsets
from gateway.imap.wire.encode import Encoded, SequenceSet
from gateway.imap.wire.responses import Code, Tagged, Untagged, number
from gateway.imap.wire.sequences import parse_numbers


@dataclass(frozen=True, slots=True)
class Copied:
    """The copies: `uids` by the UIDs of the messages; None when the server does not tell."""

    uidvalidity: int
    uids: dict[int, int] | None

    def __bool__(self) -> bool:
        return self.uids is not None


UNTOLD = Copied(0, None)


class Copy(Command[Copied]):
    """UID COPY; some servers tell of the copies in the tagged line, some ahead of it."""

    name: ClassVar[str] = "COPY"
    stores: ClassVar[bool] = True

    def __init__(self, uids: SequenceSet, mailbox: bytes) -> None:
        self._uids = uids
        self._mailbox = mailbox
        self._copied: list[Copied] = []

    def encode(self) -> Encoded:
        return encode.join(
            encode.atom("UID"),
            encode.atom(self.name),
            encode.sequence_set(self._uids),
            encode.mailbox(self._mailbox),
        )

    def collect(self, response: Untagged) -> bool:
        if response.name in ("OK", "NO") and self._take(response.text.code):
            return True
        return self.note_limit(response)

    def finish(self, tagged: Tagged) -> Copied:
        self._take(tagged.text.code)
        copied = merged(self._copied)
        self.check(tagged, copied)
        return copied

    def _take(self, code: Code | None) -> bool:
        if code is None or code.name != "COPYUID":
            return False
        self._copied.append(_copied(code))
        return True

    def smaller(self, refused: CommandRefused) -> Sequence[Command[Copied]] | None:
        """RFC 9738 §3.1: nothing is copied of what is too much."""
        if refused.code != "MESSAGELIMIT" and not refusals.is_too_long(refused):
            return None
        sets = uidsets.halves(self._uids, ())
        return None if sets is None else [type(self)(each, self._mailbox) for each in sets]

    def merged(self, parts: Sequence[Copied], lacks: bool) -> Copied:
        return merged(parts)


async def copy(conn: Commander, uids: Iterable[int], mailbox: bytes) -> Copied:
    """Copy messages of the selected mailbox to another, given by its wire name.

    Messages that are gone are not copied, and that is no error. Raises CommandRefused (TRYCREATE,
    OVERQUOTA, ...): where there were many messages, `partial` tells which were copied before.
    """
    sets = encode.pack_uids(uids, conn.max_set)
    return await run_in_turn(conn, [Copy(packed, mailbox) for packed in sets])


async def run_in_turn(conn: Commander, commands: Iterable[Copy]) -> Copied:
    """Run commands until one is refused; its `partial` then tells what all of them have done."""
    done: list[Copied] = []
    for command in commands:
        try:
            done.append(await conn.run(command))
        except CommandRefused as refused:
            if isinstance(refused.partial, Copied) and refused.partial:
                done.append(refused.partial)
            refused.partial = merged(done) if done else None
            raise
    return merged(done)


def merged(parts: Iterable[Copied]) -> Copied:
    """Several answers as one; unknown if one of them is, as nobody knows what it was about."""
    whole: dict[int, int] = {}
    uidvalidity = 0
    for part in parts:
        if part.uids is None:
            return UNTOLD
        whole |= part.uids
        uidvalidity = part.uidvalidity
    return Copied(uidvalidity, whole) if uidvalidity else UNTOLD


def _copied(code: Code) -> Copied:
    if len(code.arguments) < 3:
        return UNTOLD
    uidvalidity, source, target = code.arguments[:3]
    known = number(uidvalidity)
    if known is None or not isinstance(source, bytes) or not isinstance(target, bytes):
        return UNTOLD
    try:
        sources, targets = parse_numbers(source), parse_numbers(target)
    except ProtocolError:
        return UNTOLD
    if len(sources) != len(targets):
        return UNTOLD
    return Copied(known, dict(zip(sources, targets, strict=True)))
