"""RFC 9051 §6.4.6: UID STORE; RFC 7162 §3.1.3: UNCHANGEDSINCE, MODIFIED."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from gateway.imap import refusals
from gateway.imap.command import Command, Commander
from gateway.imap.commands.fetch import in_ranges, row_values
from gateway.imap.errors import CommandRefused
from gateway.imap.wire import encode, items
from gateway.imap.wire.encode import Encoded, SequenceSet
from gateway.imap.wire.fetchshape import Columns, Shape
from gateway.imap.wire.responses import Tagged, Untagged
from gateway.imap.wire.sequences import Range, parse_ranges

Action = Literal["FLAGS", "+FLAGS", "-FLAGS"]


@dataclass(slots=True)
class Stored:
    """The UIDs that the server left as they were, as (first, last).

    They have changed since the mod-sequence that was given.
    """

    modified: list[Range] = field(default_factory=list)


class Store(Command[Stored]):
    """UID STORE of flags; with UNCHANGEDSINCE, to those messages only that did not change.

    RFC 7162 §3.1.3: the mod-sequence of each message comes in any case. It is passed over, as what
    has changed is read again, along with what others have changed.
    """

    name: ClassVar[str] = "STORE"
    bulk: ClassVar[bool] = True

    def __init__(
        self,
        uids: SequenceSet,
        action: Action,
        flags: Sequence[str],
        unchanged_since: int | None = None,
    ) -> None:
        if any(flag.lower() == "\\recent" for flag in flags):
            raise ValueError("\\Recent is the server's to set")
        self._uids = uids
        self._action: Action = action
        self._flags = tuple(flags)
        self._unchanged_since = unchanged_since
        self._ranges = parse_ranges(uids)
        self._shape = Shape((items.UID, items.MODSEQ))
        self._stored = Stored()

    def encode(self) -> Encoded:
        arguments = [
            encode.atom("UID"),
            encode.atom(self.name),
            encode.sequence_set(self._uids),
        ]
        if self._unchanged_since is not None:
            since = encode.number(self._unchanged_since)
            arguments.append(encode.parenthesised(encode.atom("UNCHANGEDSINCE"), since))
        arguments.append(encode.atom(self._action + ".SILENT"))
        arguments.append(encode.parenthesised(*map(encode.flag, self._flags)))
        return encode.join(*arguments)

    def take(self, chunk: bytes) -> bytes:
        return self._shape.take(chunk, Columns())

    def collect(self, response: Untagged) -> bool:
        if response.name != "FETCH":
            return self.note_limit(response)
        uid = row_values(response).get("UID")
        return isinstance(uid, bytes) and uid.isdigit() and in_ranges(self._ranges, int(uid))

    def finish(self, tagged: Tagged) -> Stored:
        code = tagged.text.code
        if code is not None and code.name == "MODIFIED" and tagged.status != "BAD":
            modified = code.arguments[0] if code.arguments else None
            if isinstance(modified, bytes):
                self._stored.modified = parse_ranges(modified)
                return self._stored
        self.check(tagged, self._stored)
        return self._stored

    def smaller(self, refused: CommandRefused) -> Sequence[Store] | None:
        if refused.lowest_done is None and not refusals.is_too_long(refused):
            return None
        sets = refusals.remaining(self._uids, (), refused)
        if sets is None:
            return None
        return [Store(each, self._action, self._flags, self._unchanged_since) for each in sets]

    def merged(self, parts: Sequence[Stored], lacks: bool) -> Stored:
        return _merged(parts)


async def store(
    conn: Commander,
    uids: Iterable[int],
    action: Action,
    flags: Sequence[str],
    unchanged_since: int | None = None,
) -> Stored:
    r"""Change flags of messages of the SELECTed mailbox, in one round trip.

    `unchanged_since` needs a mailbox with mod-sequences (ValueError). Raises CommandRefused, whose
    `partial` is a Stored; some flags may have been changed then.
    """
    if unchanged_since is not None and not conn.has_modseqs:
        raise ValueError("UNCHANGEDSINCE needs mod-sequences")
    sets = encode.pack_uids(uids, conn.max_set)
    results = await conn.run_all(*(Store(each, action, flags, unchanged_since) for each in sets))
    parts = [r.partial if isinstance(r, CommandRefused) else r for r in results]
    stored = _merged(part for part in parts if isinstance(part, Stored))
    for result in results:
        if isinstance(result, CommandRefused):
            result.partial = stored
            raise result
    return stored


def _merged(parts: Iterable[Stored]) -> Stored:
    return Stored([span for part in parts for span in part.modified])
