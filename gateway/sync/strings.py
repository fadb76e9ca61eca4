"""RFC 8621 §4.1.2-4.1.4: what never changes about an Email, as octets by row.

The raw header fields of the list view, the raw BODYSTRUCTURE and the preview are kept as the
server gave them, in chunks of consecutive rows. A chunk that is not in use is packed; neighbours
in a mailbox share names, hosts and lists, so a chunk packs three times better than its messages.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgpack

from gateway.sync.arrays import Rows

CHUNK_ROWS = 128
_LEVEL = 1
_UNPACKED_CHUNKS = 24
_OBJECT_OCTETS = 41

Chunk = list[bytes | None]


def pack(raw: bytes) -> bytes:
    """The packed form of a chunk; slow enough for a thread, and it lets go of the GIL."""
    return zlib.compress(raw, _LEVEL)


def unpack(packed: bytes) -> Chunk | None:
    """Inverse of pack(), None for octets that it can not have made."""
    try:
        chunk = msgpack.unpackb(zlib.decompress(packed))
    except (zlib.error, ValueError, msgpack.exceptions.UnpackException):
        return None
    return chunk if isinstance(chunk, list) and len(chunk) == CHUNK_ROWS else None


class StringColumn:
    """One octet string or None for each row.

    A chunk is open (a list), or closed: joined to one octet string once it has all its values, so
    that no crowd of small objects stays behind, and packed later. Of a closed chunk there may be
    an open copy too, which is dropped when others are used more. A chunk that is neither is
    absent: then the store may have it.
    """

    def __init__(self) -> None:
        self._joined: dict[int, bytes] = {}
        self._packed: dict[int, bytes] = {}
        self._open: OrderedDict[int, Chunk] = OrderedDict()
        self.unsaved: set[int] = set()

    def get(self, row: int) -> bytes | None:
        """The value of a row, None when there is none in memory."""
        chunk = self._chunk(row // CHUNK_ROWS)
        return chunk[row % CHUNK_ROWS] if chunk is not None else None

    def extend(self, start: int, values: Sequence[bytes]) -> None:
        """Set the values of the rows from `start` on."""
        done = 0
        while done < len(values):
            number, at = divmod(start + done, CHUNK_ROWS)
            some = values[done : done + CHUNK_ROWS - at]
            self._changing(number)[at : at + len(some)] = some
            self._join(number)
            done += len(some)

    def put(self, rows: Iterable[int], values: Iterable[bytes]) -> None:
        """Set the values of rows."""
        current, chunk = -1, None
        for row, value in zip(rows, values, strict=True):
            number, at = divmod(row, CHUNK_ROWS)
            if number != current or chunk is None:
                self._join(current)
                current, chunk = number, self._changing(number)
            chunk[at] = value
        self._join(current)

    def truncate(self, size: int) -> None:
        """Forget the values of the rows from `size` on."""
        last = size // CHUNK_ROWS
        for chunks in (self._joined, self._packed, self._open):
            for number in [number for number in chunks if number > last]:
                chunks.pop(number, None)
        self.unsaved = {number for number in self.unsaved if number <= last}
        if self._chunk(last) is not None:
            self._changing(last)[size % CHUNK_ROWS :] = [None] * (CHUNK_ROWS - size % CHUNK_ROWS)

    def renumber(self, rows: Rows) -> None:
        """Let only the values of some rows (ascending) stay, which follow one another then.

        It takes long for many. All chunks are packed after it.
        """
        left = StringColumn()
        for start in range(0, len(rows), CHUNK_ROWS):
            some = rows[start : start + CHUNK_ROWS].tolist()
            known = {
                at: v for at, row in enumerate(some, start) if (v := self.get(row)) is not None
            }
            left.put(known.keys(), known.values())
            for number in left.unpacked:
                raw = left.raw(number)
                left.set_packed(number, raw, pack(raw))
        self._joined, self._packed, self._open = left._joined, left._packed, left._open
        self.unsaved = left.unsaved

    def _join(self, number: int) -> None:
        """Close a chunk that has all its values."""
        chunk = self._open.get(number)
        if chunk is not None and None not in chunk:
            self._joined[number] = msgpack.packb(chunk)
            del self._open[number]

    def _is_closed(self, number: int) -> bool:
        return number in self._joined or number in self._packed

    def _changing(self, number: int) -> Chunk:
        chunk = self._chunk(number) or [None] * CHUNK_ROWS
        # Reading may have closed it at once, when too many others can not be closed.
        self._open[number] = chunk
        self._joined.pop(number, None)
        self._packed.pop(number, None)
        self.unsaved.add(number)
        return chunk

    def _chunk(self, number: int) -> Chunk | None:
        chunk = self._open.get(number)
        if chunk is not None:
            self._open.move_to_end(number)
            return chunk
        joined, packed = self._joined.get(number), self._packed.get(number)
        if joined is not None:
            chunk = msgpack.unpackb(joined)
        elif packed is not None:
            chunk = unpack(packed)
        if chunk is not None:
            self._open[number] = chunk
            self._close_unused()
        return chunk

    def _close_unused(self) -> None:
        for number in list(self._open):
            if len(self._open) <= _UNPACKED_CHUNKS:
                return
            if self._is_closed(number):
                del self._open[number]

    @property
    def unpacked(self) -> list[int]:
        """Numbers of the chunks that are not packed yet."""
        return [*self._joined, *(n for n in self._open if not self._is_closed(n))]

    def raw(self, number: int) -> bytes:
        """What pack() takes for a chunk that is not packed."""
        octets: bytes = self._joined.get(number) or msgpack.packb(self._open[number])
        return octets

    def set_packed(self, number: int, raw: bytes, packed: bytes) -> None:
        """Keep the packed form of `raw`, unless the chunk has changed since."""
        if (number in self._open or number in self._joined) and self.raw(number) == raw:
            self._packed[number] = packed
            self._joined.pop(number, None)
            self._close_unused()

    def packed(self, number: int) -> bytes | None:
        """The packed form of a chunk, None when it has to be packed first."""
        return self._packed.get(number)

    def missing(self, rows: Sequence[int]) -> set[int]:
        """Numbers of the chunks of these rows that are not in memory."""
        wanted = {row // CHUNK_ROWS for row in rows}
        return {n for n in wanted if n not in self._open and not self._is_closed(n)}

    def load(self, number: int, packed: bytes) -> None:
        """Take in a chunk from the store if it is absent; what does not unpack is not there."""
        absent = number not in self._open and not self._is_closed(number)
        if absent and unpack(packed) is not None:
            self._packed[number] = packed

    @property
    def nbytes(self) -> int:
        """Octets held, open chunks with what Python adds to each string."""
        loose = sum(
            len(value) + _OBJECT_OCTETS
            for chunk in self._open.values()
            for value in chunk
            if value is not None
        )
        closed = sum(map(len, self._joined.values())) + sum(map(len, self._packed.values()))
        return loose + closed
