"""RFC 8621 §4.1.2-4.1.4: what never changes about an Email, and where it is read from.

Header fields, structure and preview are looked for in memory, then in the store, and then asked
of the server, with one FETCH a mailbox for all that is missing. Parsed forms of what was shown
last are kept, as list views ask for the same Emails again and again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any

import numpy as np

from gateway.imap.command import Command
from gateway.imap.commands.fetch import Fetch, Fetched
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused
from gateway.imap.wire import items
from gateway.imap.wire.encode import pack_uids
from gateway.imap.wire.items import Item
from gateway.mime import body, message, preview
from gateway.mime.message import Span
from gateway.mime.preview import TEXT_OCTETS
from gateway.mime.structure import Part
from gateway.sync import structures
from gateway.sync.arrays import Uids
from gateway.sync.emails import UNKNOWN
from gateway.sync.fetching import HEADER, keep_structures, put_structures
from gateway.sync.lru import Cache
from gateway.sync.reader import Reader
from gateway.sync.sections import PIECE, Place, Section, Sections
from gateway.sync.shelf import Shelf
from gateway.sync.strings import StringColumn
from gateway.sync.structures import Structure
from gateway.sync.turns import Turns, off_loop

MESSAGE_HEADER = Place(name="HEADER")

_PARSED = 1024
# Parsing an octet of BODYSTRUCTURE takes as long as decoding so many octets of text.
_PARSING = 16
# A larger message, in octets, is shown as the server tells it, right or wrong.
_MENDED = 50_000_000


class Want(Enum):
    """What of an Email is to be readable without any further waiting."""

    HEADER = "header"
    STRUCTURE = "structure"
    PREVIEW = "preview"
    ATTACHMENT = "attachment"


class Content:
    """The immutable content of the Emails of one account."""

    def __init__(self, reader: Reader, shelf: Shelf) -> None:
        self.sections = Sections(reader)
        self._reader = reader
        self._data = reader.data
        self._shelf = shelf
        self._headers: Cache[int, dict[str, Any]] = Cache(_PARSED)
        self._structures: Cache[int, Structure] = Cache(_PARSED)
        self._fetching = asyncio.Lock()

    # --- what is here, after read() --------------------------------------------------------------

    def convenience(self, row: int, parse: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
        """Parsed header fields of the list view; do not modify them."""
        return self._headers.get(row, lambda: parse(self._data.headers.get(row) or b""))

    def kept_header(self, row: int) -> bytes:
        """The header fields of the list view, as they are in the message."""
        return self._data.headers.get(row) or b""

    def structure(self, row: int) -> Part:
        """The part tree of an Email."""
        return self._structure(row).root

    def _structure(self, row: int) -> Structure:
        kept = self._data.structures
        return self._structures.get(row, lambda: structures.parse(kept.get(row) or b""))

    def preview(self, row: int) -> str:
        """RFC 8621 §4.1.4 preview."""
        return (self._data.previews.get(row) or b"").decode("utf-8", "replace")

    # --- making it be here -----------------------------------------------------------------------

    async def read(self, rows: Sequence[int], wanted: Iterable[Want]) -> set[int]:
        """Make what is wanted readable; returns the rows whose messages are gone.

        Raises ImapError.
        """
        wanted = tuple(wanted)
        gone: set[int] = set()
        if any([await self._missing(rows, want) for want in wanted]):
            # Requests that come at the same time mostly want the same: the first one fetches it.
            async with self._fetching:
                gone = await self._read(rows, wanted)
        if Want.STRUCTURE in wanted:
            await self._mend(row for row in rows if row not in gone)
        return gone

    async def _read(self, rows: Sequence[int], wanted: Iterable[Want]) -> set[int]:
        missing = {want: await self._missing(rows, want) for want in wanted}
        every = sorted(set().union(*missing.values()))
        if not every:
            return set()
        groups = self._reader.by_mailbox(every)
        left = await asyncio.gather(
            *(self._fetch(number, uids, missing) for number, uids in groups.items())
        )
        gone = set().union(*left)
        placeless = set(every) - {row for uids in groups.values() for row in uids.values()}
        return gone | placeless

    async def _missing(self, rows: Sequence[int], want: Want) -> set[int]:
        if want is Want.ATTACHMENT:
            return {row for row in rows if self._data.emails.attachment[row] == UNKNOWN}
        column = self._data.strings[want.value]
        if absent := column.missing(rows):
            await self._shelf.fill(self._data, want.value, absent)
        return {row for row in rows if column.get(row) is None}

    async def load_headers(self, rows: range) -> None:
        """Make the header fields of a range of rows readable, of those that are still there."""
        absent = await self._missing(rows, Want.HEADER)
        present = [row for row in sorted(absent) if self._data.emails.placements(row)]
        if present:
            await self.read(present, (Want.HEADER,))

    async def _fetch(
        self, number: int, uids: dict[int, int], missing: dict[Want, set[int]]
    ) -> set[int]:
        """FETCH what is missing of messages of one mailbox; returns the rows that are gone."""
        lacking = {want for want, rows in missing.items() if not rows.isdisjoint(uids.values())}
        # A connection that selected the mailbox a while ago may not show what came since.
        for again in (False, True):
            found = await self._fetch_once(number, sorted(uids), lacking, again=again)
            uids = {uid: row for uid, row in uids.items() if uid not in found}
            if not uids:
                break
        return set(uids.values())

    async def _fetch_once(
        self, number: int, uids: list[int], lacking: set[Want], *, again: bool
    ) -> set[int]:
        def make(connection: Connection) -> list[Command[Any]]:
            asked = _items(lacking, "PREVIEW" in connection.capabilities)
            return [Fetch(packed, asked) for packed in pack_uids(uids, connection.max_set)]

        found: set[int] = set()
        for result in await self._reader.run(number, make, again=again):
            part = result.partial if isinstance(result, CommandRefused) else result
            if isinstance(part, Fetched):
                self._keep(number, part, lacking)
                found.update(row.uid for row in part.rows)
            if isinstance(result, CommandRefused) and not found:
                raise result
        if Want.PREVIEW in lacking:
            placed = self._data.index.mailbox(number)
            at = [int(p) for p in placed.positions(_array(sorted(found))) if p >= 0]
            rows = [row for row in placed.rows[at].tolist() if self._data.previews.get(row) is None]
            await self._make_previews(rows)
        return found

    def _keep(self, number: int, fetched: Fetched, lacking: set[Want]) -> None:
        placed = self._data.index.mailbox(number)
        at = placed.positions(_array([row.uid for row in fetched.rows])).tolist()
        known = [
            (int(placed.rows[p]), row) for p, row in zip(at, fetched.rows, strict=True) if p >= 0
        ]
        if Want.HEADER in lacking:
            _put(self._data.headers, ((row, f.sections.get(HEADER.name)) for row, f in known))
        if Want.PREVIEW in lacking:
            # RFC 8970 §3.2: NIL says nothing of the message. Cyrus says it of all that it has not
            # made a preview for, which by default are all.
            _put(self._data.previews, ((row, f.preview) for row, f in known))
        raw = {f.uid: f.bodystructure for _, f in known if f.bodystructure is not None}
        if raw:
            put_structures(self._data, number, raw)

    async def _mend(self, rows: Iterable[int]) -> None:
        """Where the server is wrong about a message, see to its structure ourselves."""
        turns = Turns()
        for row in rows:
            await turns.give()
            await self._parse(row)
            size = int(self._data.emails.octets[row])
            if self._structure(row).is_plausible or size > _MENDED:
                continue
            whole = Section(row, Place(), size + PIECE)
            octets = (await self.sections.read([whole])).get((row, whole.place))
            if octets is not None:
                parsed = await off_loop(len(octets), message.parse, octets)
                keep_structures(self._data, [row], [structures.of_message(parsed)])
                self._structures.drop(row)

    async def _parse(self, row: int) -> None:
        """Have a structure in its parsed form; that of a thousand parts takes a while."""
        if row not in self._structures:
            raw = self._data.structures.get(row) or b""
            parsed = await off_loop(_PARSING * len(raw), structures.parse, raw)
            self._structures.get(row, lambda: parsed)

    async def _make_previews(self, rows: list[int]) -> None:
        """Previews of our own, where the server has none: from the first text part."""
        await self._read(rows, (Want.STRUCTURE,))
        await self._mend(rows)
        wanted = {
            row: [
                (part, self.body(row, part, body.octets_needed(part, TEXT_OCTETS) or part.size))
                for part in body.preview_texts(self.structure(row))
            ]
            for row in rows
        }
        found = await self.sections.read(s for texts in wanted.values() for _, s in texts)
        made = {}
        for row, texts in wanted.items():
            values = [
                (
                    body.body_value(octets, part, TEXT_OCTETS)["value"],
                    part.type == "text/html",
                )
                for part, section in texts
                if (octets := found.get((row, section.place))) is not None
            ]
            # What is not to be had now says nothing of the next time.
            if len(values) == len(texts):
                made[row] = preview.preview_of(values).encode()
        self._data.previews.put(made.keys(), made.values())

    # --- what is not kept ------------------------------------------------------------------------

    def body(self, row: int, part: Part, octets: int) -> Section:
        """The first octets of the content of a part, encoded as they are in the message."""
        span = self._span(row, part)
        if span is None:
            return Section(row, Place(part.part_id or "1"), octets)
        return Section(row, Place(start=span.content), min(octets, span.end - span.content))

    def header(self, row: int, part: Part) -> Section:
        """The header of a part; of the root, that of the message."""
        if part is self.structure(row):
            return Section(row, MESSAGE_HEADER, PIECE)
        span = self._span(row, part)
        if span is None:
            return Section(row, Place(part.part_id or "", "MIME"), PIECE)
        return Section(row, Place(start=span.header), span.content - span.header)

    def _span(self, row: int, part: Part) -> Span | None:
        spans = self._structure(row).spans
        return spans[part.part_id] if spans is not None else None


def _array(uids: list[int]) -> Uids:
    return np.array(uids, np.uint32)


def _items(lacking: set[Want], previews_by_server: bool) -> list[Item]:
    asked = []
    if Want.HEADER in lacking:
        asked.append(HEADER)
    if Want.PREVIEW in lacking and previews_by_server:
        asked.append(items.PREVIEW)
    own_preview = Want.PREVIEW in lacking and not previews_by_server
    if own_preview or not lacking.isdisjoint((Want.STRUCTURE, Want.ATTACHMENT)):
        asked.append(items.BODYSTRUCTURE)
    return asked


def _put(column: StringColumn, values: Iterable[tuple[int, bytes | None]]) -> None:
    known = [(row, value) for row, value in values if value is not None]
    column.put((row for row, _ in known), (value for _, value in known))
