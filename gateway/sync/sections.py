"""RFC 9051 §6.4.5: octets of sections of messages, which are read when they are wanted.

All that is wanted of one mailbox comes in one round trip, and messages of which the same is wanted
share a command, as a mailbox full of small letters mostly does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.imap.commands.fetch import Fetch, Fetched
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused
from gateway.imap.wire import items
from gateway.imap.wire.encode import pack_uids
from gateway.imap.wire.items import Item
from gateway.sync.reader import Reader

PIECE: Final = 1 << 20
"""Octets of one section in one response; what is longer comes in several."""

_LEAST_WINDOW = 1 << 12
_ITEMS = 64  # in one command: its line stays short enough for any server


@dataclass(frozen=True, slots=True)
class Place:
    """Where octets are in a message: a section, and an offset in it.

    `name` is "", "HEADER", "HEADER.FIELDS" (of `fields`) or "MIME".
    """

    part: str = ""
    name: str = ""
    fields: tuple[str, ...] = ()
    start: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """At most `octets` octets from a place on, of the message in a row."""

    row: int
    place: Place
    octets: int


Found = dict[tuple[int, Place], bytes]
"""Octets by row and place, without what is not to be had."""


class Sections:
    """Reads sections of the messages of one account."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def read(self, wanted: Iterable[Section]) -> Found:
        """The sections, without what is gone. Raises ImapError.

        What does not come is asked for again, each message by itself: a connection that selected
        the mailbox a while ago may not show what came since, and a server may refuse a command
        for one message of many.
        """
        left = list(wanted)
        found: Found = {}
        for again in (False, True):
            of_row: dict[int, list[Section]] = {}
            for section in left:
                of_row.setdefault(section.row, []).append(section)
            groups = self._reader.by_mailbox(of_row)
            for read in await asyncio.gather(
                *(
                    self._read(number, _pieces(rows, of_row), again=again)
                    for number, rows in groups.items()
                )
            ):
                found.update(read)
            left = [section for section in left if (section.row, section.place) not in found]
            if not left:
                break
        return found

    async def _read(self, number: int, left: list[_Piece], *, again: bool) -> Found:
        """Sections of messages of one mailbox, one round trip for each piece of the longest."""
        read: dict[Section, list[bytes]] = {}
        alone = again
        while left:
            now, left = _distinct(left)
            rows = await self._fetch(number, now, alone=alone, again=again)
            again = False
            for piece in now:
                told = rows.get(piece.uid, {})
                octets = told.get(piece.item.name)
                if octets is None and alone and piece.item.name in told:
                    octets = b""  # so Yandex says, also when asked again, that there is nothing
                if octets is None:  # of what went away in the middle, nothing is kept
                    read.pop(piece.section, None)
                    continue
                read.setdefault(piece.section, []).append(octets)
                if (further := piece.after(len(octets))) is not None:
                    left.append(further)
        return {
            (section.row, section.place): b"".join(octets)[: section.octets]
            for section, octets in read.items()
        }

    async def _fetch(
        self, number: int, pieces: Sequence[_Piece], *, alone: bool, again: bool
    ) -> dict[int, dict[str, bytes | None]]:
        """The octets by UID and item, of pieces whose items have different names a message."""
        of_uid: dict[int, list[Item]] = {}
        for piece in pieces:
            of_uid.setdefault(piece.uid, []).append(piece.item)
        of_items: dict[tuple[Item, ...], list[int]] = {}
        for uid, asked in of_uid.items():
            of_items.setdefault(tuple(asked), []).append(uid)

        def make(connection: Connection) -> list[Fetch]:
            return [
                Fetch(packed, asked[at : at + _ITEMS])
                for asked, uids in of_items.items()
                for packed in _sets(uids, connection.max_set, alone)
                for at in range(0, len(asked), _ITEMS)
            ]

        rows: dict[int, dict[str, bytes | None]] = {}
        for result in await self._reader.run(number, make, again=again):
            fetched = result.partial if isinstance(result, CommandRefused) else result
            if isinstance(fetched, Fetched):
                for row in fetched.rows:
                    rows.setdefault(row.uid, {}).update(row.sections)
        return rows


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one response is to bring of a section: `octets` from `start` of the section on."""

    uid: int
    section: Section
    start: int
    octets: int
    item: Item

    @classmethod
    def of(cls, uid: int, section: Section, start: int = 0) -> _Piece:
        """As much as is wanted, or a bit more: messages with equal windows share a command."""
        wanted = max(1, min(PIECE, section.octets - start))
        octets = max(_LEAST_WINDOW, 1 << (wanted - 1).bit_length())
        return cls(uid, section, start, octets, _item(section.place, start, octets))

    def after(self, octets: int) -> _Piece | None:
        """The piece that follows when this one brought so many octets."""
        end = self.start + octets
        if octets < self.octets or end >= self.section.octets:
            return None
        return _Piece.of(self.uid, self.section, end)


@lru_cache(maxsize=1024)
def _item(place: Place, start: int, octets: int) -> Item:
    return items.section(place.name, place.part, place.fields, (place.start + start, octets))


def _pieces(rows: dict[int, int], of_row: dict[int, list[Section]]) -> list[_Piece]:
    return [_Piece.of(uid, section) for uid, row in rows.items() for section in of_row[row]]


def _distinct(pieces: Iterable[_Piece]) -> tuple[list[_Piece], list[_Piece]]:
    """Pieces that can be asked for at once, and others.

    A response does not tell which window of a section it is, but for its start.
    """
    asked: set[tuple[int, str]] = set()
    now: list[_Piece] = []
    later: list[_Piece] = []
    for piece in pieces:
        name = piece.uid, piece.item.name
        (later if name in asked else now).append(piece)
        asked.add(name)
    return now, later


def _sets(uids: Sequence[int], limit: int, alone: bool) -> Iterator[bytes]:
    for some in [[uid] for uid in uids] if alone else [uids]:
        yield from pack_uids(some, limit)
