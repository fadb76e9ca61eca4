"""RFC 9051 §6.4.9: UID FETCH of whole mailboxes, as columns (see wire.fetchshape)."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import ClassVar

from gateway.imap import refusals
from gateway.imap.command import Command, Commander
from gateway.imap.errors import CommandRefused, ProtocolError
from gateway.imap.wire import encode, items
from gateway.imap.wire.encode import Encoded, SequenceSet
from gateway.imap.wire.fetchshape import Columns, Shape
from gateway.imap.wire.items import Item
from gateway.imap.wire.responses import Tagged, Untagged
from gateway.imap.wire.sequences import parse_ranges

HEADER_OCTETS = 65_536
"""Of each message's header fields at most: beyond it is an attack, not a header."""

_UNASKED = 10_000
"""Messages more than a slice has that it may be answered with: of the next slice, and news."""


class FetchColumns(Command[Columns]):
    """One slice. The shape is shared by all slices, so that it learns the server's order once.

    When a server runs pipelined slices together, rows of a later one may come with an earlier one.
    A refusal carries the Columns that had come as `partial`.
    """

    name: ClassVar[str] = "FETCH"
    bulk: ClassVar[bool] = True
    may_lack: ClassVar[bool] = True

    def __init__(self, uids: SequenceSet, asked: Sequence[Item], shape: Shape) -> None:
        self._uids = uids
        self._asked = asked
        self._shape = shape
        # Slices that run at the same time have a size in common.
        self._most = 4 * sum(last - first + 1 for first, last in parse_ranges(uids)) + _UNASKED
        self._telling = {"header", "structure"}.intersection(shape.columns)
        self._columns = Columns()
        self._parts: dict[int, tuple[dict[str, bytes | None], list[Untagged]]] = {}
        self._cut_short: list[tuple[dict[str, bytes | None], list[Untagged]]] = []
        self._unclaimed: list[Untagged] = []

    def encode(self) -> Encoded:
        return encode.join(
            encode.atom("UID"),
            encode.atom(self.name),
            encode.sequence_set(self._uids),
            encode.parenthesised(*(item.encoded for item in self._asked)),
        )

    def take(self, chunk: bytes) -> bytes:
        rest = self._shape.take(chunk, self._columns)
        if len(self._columns) + len(self._parts) + len(self._cut_short) > self._most:
            raise ProtocolError("a FETCH is answered with more messages than were asked for")
        return rest

    def collect(self, response: Untagged) -> bool:
        if response.name == "EXPUNGE":  # from now on, numbers mean other messages
            self._cut_short += self._parts.values()
            self._parts.clear()
        if response.name != "FETCH" or response.number is None:
            return self.note_limit(response)
        if not self.take(response.frame.octets + b"\r\n"):
            return True  # a row that was cut in two by the end of a chunk
        row = self._shape.row(response)
        if not row:
            return False
        known, parts = self._parts.pop(response.number, ({}, []))
        is_news = row.keys() <= known.keys()
        row = known | row
        if len(row) == len(self._asked):
            self._columns.append(row)
        else:  # the rest may follow in another response
            self._parts[response.number] = (row, parts if is_news else [*parts, response])
        return not is_news

    def finish(self, tagged: Tagged) -> Columns:
        seen = set(self._columns.uid) if self._parts or self._cut_short else set()
        for row, responses in (*self._cut_short, *self._parts.values()):
            # What nobody tells unasked shows that it is an answer, though not a complete one.
            if row.get("uid") is None or row["uid"] in seen or not row.keys() >= self._telling:
                self._unclaimed += responses
            else:
                self._columns.append(dict.fromkeys(self._shape.columns) | row)
        self.check(tagged, self._columns)
        return self._columns

    def smaller(self, refused: CommandRefused) -> Sequence[FetchColumns] | None:
        sets = refusals.remaining(self._uids, set(map(int, self._columns.uid)), refused)
        if sets is None:
            return None
        return [FetchColumns(packed, self._asked, self._shape) for packed in sets]

    def merged(self, parts: Sequence[Columns], lacks: bool) -> Columns:
        whole = Columns()
        for part in parts:
            for name in self._shape.columns:
                getattr(whole, name).extend(getattr(part, name))
        return whole

    def unclaimed(self) -> Sequence[Untagged]:
        return self._unclaimed


async def stream_columns(
    conn: Commander, uid_sets: Iterable[SequenceSet], asked: Sequence[Item]
) -> AsyncIterator[Columns]:
    """The columns of each slice of the selected mailbox, while the server works on the next.

    `asked` has UID, items with a column and at most one section, last. The rows of a slice come in
    the server's order, and messages that do not exist have none. Raises CommandRefused, whose
    `partial` is the Columns of its slice. Slices of some thousand messages keep memory and pauses
    small.
    """
    shape = Shape(asked)
    commands = (FetchColumns(packed, asked, shape) for packed in uid_sets)
    async for columns in conn.stream(commands):
        yield columns


def header_fields(names: Sequence[str]) -> Item:
    """Header fields as the bulk path asks for them, with a bound."""
    return items.section("HEADER.FIELDS", fields=names, window=(0, HEADER_OCTETS))
