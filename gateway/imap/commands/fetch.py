"""RFC 9051 §6.4.5, §6.4.9: UID FETCH."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from gateway.imap import refusals
from gateway.imap.command import Command, Commander
from gateway.imap.errors import CommandRefused
from gateway.imap.wire import encode, items
from gateway.imap.wire.encode import Encoded, SequenceSet
from gateway.imap.wire.fetchrow import fetch_items
from gateway.imap.wire.items import Item
from gateway.imap.wire.responses import Tagged, Untagged, number, unique_id
from gateway.imap.wire.sequences import Range, parse_ranges
from gateway.imap.wire.tokens import Value

_MOST_PARTS = 10_000
"""Responses without UID that wait for one; more of them are not an answer that came in pieces."""


@dataclass(slots=True)
class FetchRow:
    """What the server said of one message. An item it left out is None, and not in `present`.

    `internaldate` is as sent, without its quotes; `identity` is the value of the one identity item
    asked for; `bodystructure` is raw, for tokens.parse; `sections` has the octets of each section
    under its `Item.name`.
    """

    uid: int
    flags: tuple[str, ...] | None = None
    modseq: int | None = None
    internaldate: bytes | None = None
    size: int | None = None
    identity: bytes | None = None
    bodystructure: bytes | None = None
    preview: bytes | None = None
    sections: dict[str, bytes | None] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Fetched:
    """Rows by ascending UID. lacks: the server refused some messages, which have no row."""

    rows: list[FetchRow] = field(default_factory=list)
    lacks: bool = False

    def __len__(self) -> int:
        return len(self.rows)


class Fetch(Command[Fetched]):
    """UID FETCH of a set. Parts of a row that come in several responses are merged by UID.

    A refusal carries what had come as `partial`: Exchange says NO when one message of many is gone.
    """

    name: ClassVar[str] = "FETCH"
    may_lack: ClassVar[bool] = True

    def __init__(self, uids: SequenceSet, asked: Sequence[Item]) -> None:
        self._uids = uids
        self._asked = tuple(asked)
        self._ranges = parse_ranges(uids)
        self._names = {item.name for item in asked} - {"UID"}
        self._rows: dict[int, FetchRow] = {}
        self._numbered: dict[int, FetchRow] = {}
        self._kept = 0
        self._unclaimed: list[Untagged] = []
        self._parts: dict[int, list[tuple[Untagged, dict[str, Value]]]] = {}  # rows without UID

    def encode(self) -> Encoded:
        asked = {item.name: item for item in (items.UID, *self._asked)}
        return encode.join(
            encode.atom("UID"),
            encode.atom(self.name),
            encode.sequence_set(self._uids),
            encode.parenthesised(*(item.encoded for item in asked.values())),
        )

    def collect(self, response: Untagged) -> bool:
        if response.name == "EXPUNGE":  # from now on, numbers mean other messages
            self._unclaimed = [*self.unclaimed()]
            self._parts.clear()
            self._numbered.clear()
        if response.name != "FETCH":
            return self.note_limit(response)
        found = row_values(response)
        uid = unique_id(found.get("UID"))
        if uid is not None:
            return in_ranges(self._ranges, uid) and self._collect_row(uid, response, found)
        if response.number is None or not self._is_asked(found):
            return False
        if (row := self._numbered.get(response.number)) is not None:
            return self._add(row, found)
        self._kept += 1
        if self._kept > _MOST_PARTS:
            return False
        self._parts.setdefault(response.number, []).append((response, found))
        return True

    def _collect_row(self, uid: int, response: Untagged, found: dict[str, Value]) -> bool:
        early = self._parts.pop(response.number or 0, [])
        if not early and not self._is_asked(found):
            return False
        row = self._rows.get(uid)
        if row is None:
            row = self._rows[uid] = FetchRow(uid)
        self._numbered[response.number or 0] = row
        taken = self._add(row, found)
        # What came before the UID is the rest of the answer, or was news when the answer came.
        for each, part in reversed(early):
            fresh = {name: value for name, value in part.items() if name not in row.present}
            if not self._add(row, fresh):
                self._unclaimed.append(each)
        return taken or bool(early)

    def _add(self, row: FetchRow, found: dict[str, Value]) -> bool:
        """Take in a part of a row; False when it is news, which never replace an answer."""
        if not self._names <= found.keys():
            found = {name: value for name, value in found.items() if name not in row.present}
            if not self._is_asked(found):
                return False
        row.present.update(found)
        fill(row, found)
        return True

    def finish(self, tagged: Tagged) -> Fetched:
        rows = [self._rows[uid] for uid in sorted(self._rows)]
        fetched = Fetched(rows)
        self.check(tagged, fetched)
        return fetched

    def smaller(self, refused: CommandRefused) -> Sequence[Fetch] | None:
        sets = refusals.remaining(self._uids, self._rows, refused)
        if sets is None:
            return None
        return [Fetch(packed, self._asked) for packed in sets]

    def merged(self, parts: Sequence[Fetched], lacks: bool) -> Fetched:
        rows = {row.uid: row for part in parts for row in part.rows}
        return Fetched([rows[uid] for uid in sorted(rows)], lacks)

    def unclaimed(self) -> Sequence[Untagged]:
        left = [response for parts in self._parts.values() for response, _ in parts]
        return [*self._unclaimed, *left]

    def _is_asked(self, found: dict[str, Value]) -> bool:
        """Whether a response has an item that was asked for: else it is news."""
        return not self._names or not self._names.isdisjoint(found)


async def fetch(
    conn: Commander, uids: Iterable[int] | SequenceSet, asked: Sequence[Item]
) -> Fetched:
    """Items of messages of the selected mailbox, in one round trip.

    `uids` are numbers, packed here, or a set like b"1:*". Messages that do not exist have no row.
    Raises CommandRefused, whose `partial` is a Fetched with what came.
    """
    sets = [uids] if isinstance(uids, bytes) else encode.pack_uids(uids, conn.max_set)
    commands = [Fetch(packed, asked) for packed in sets]
    merged = Fetched()
    refusal: CommandRefused | None = None
    for result in await conn.run_all(*commands):
        part = result.partial if isinstance(result, CommandRefused) else result
        if isinstance(part, Fetched):
            merged.rows += part.rows
            merged.lacks |= part.lacks
        if isinstance(result, CommandRefused):
            refusal = refusal or result
    if refusal is not None:
        refusal.partial = merged
        raise refusal
    return merged


def row_values(response: Untagged) -> dict[str, Value]:
    """The items of a FETCH response by name; a BODYSTRUCTURE as its octets."""
    return {
        name: raw if name == "BODYSTRUCTURE" and isinstance(value, list) else value
        for name, value, raw in fetch_items(response)
    }


def in_ranges(ranges: Sequence[Range], uid: int) -> bool:
    """Whether ascending ranges contain a UID."""
    index = bisect_right(ranges, (uid, encode.MAX_UID)) - 1
    return index >= 0 and ranges[index][0] <= uid <= ranges[index][1]


def fill(row: FetchRow, found: dict[str, Value]) -> None:
    """Add what a response says to what is known of its message."""
    for name, value in found.items():
        if name == "FLAGS":
            row.flags = _flags(value)
        elif name == "MODSEQ":
            row.modseq = number(_single(value))
        elif name == "INTERNALDATE":
            row.internaldate = _single(value)
        elif name == "RFC822.SIZE":
            row.size = number(value)
        elif name in items.IDENTITIES:
            row.identity = _single(value)
        elif name == "BODYSTRUCTURE":
            row.bodystructure = value if isinstance(value, bytes) else None
        elif name == "PREVIEW":
            row.preview = _single(value)
        elif name.startswith(("BODY[", "BINARY[")):
            row.sections[name] = _single(value)


def _flags(value: Value) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(flag.decode("utf-8", "replace") for flag in value if isinstance(flag, bytes))


def _single(value: Value) -> bytes | None:
    """The value, or the one in a list of one: MODSEQ (5), EMAILID (M5)."""
    while isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    return value
