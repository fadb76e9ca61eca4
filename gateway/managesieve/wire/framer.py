"""RFC 5804 §1.2, §4: cut the octets from a server into lines, and say which ones end a response.

A line may go on after literals, each announced as `{5}` at the end of what comes before it. The
lines are the same however the octets arrive, and what a server can make the framer keep is bounded.
"""

from __future__ import annotations

import re

from gateway.managesieve.errors import ProtocolError
from gateway.managesieve.wire.responses import is_completion
from gateway.managesieve.wire.tokens import Line, parse

MAX_LINE = 1 << 16
"""Octets between two literals; the standard's strings have 1,024 at most."""
MAX_RESPONSE = 8 << 20
"""Octets of one response with all its lines and literals; scripts are of 1 MB at most elsewhere."""

_ANNOUNCED = re.compile(rb"\{([0-9]{1,10})\+?\}\r\n\Z")
_TAIL = 16  # octets at the end of a line in which an announcement must fit


class Framer:
    """Feed it chunks; it gives lines. It is of no use after it raised ProtocolError."""

    __slots__ = ("_kept", "_line", "_missing", "_taken")

    def __init__(self) -> None:
        self._kept = bytearray()  # the line so far, with its literals
        self._line = 0  # where in it the last literal ends
        self._missing = 0  # octets of the current literal still to come
        self._taken = 0  # octets of the earlier lines of the response

    @property
    def pending(self) -> bool:
        """Whether part of a line has been read."""
        return bool(self._kept)

    def feed(self, chunk: bytes) -> list[Line]:
        """All lines that are complete with this chunk.

        Raises ProtocolError for what is not ManageSieve, or exceeds a bound.
        """
        lines = []
        position = 0
        while position < len(chunk):
            position = self._read(chunk, position)
            if self._missing or not self._kept.endswith(b"\r\n", self._line):
                break
            if not self._announced():
                lines.append(self._complete())
        return lines

    def _read(self, chunk: bytes, position: int) -> int:
        """Keep octets up to the end of the current line or of the chunk."""
        kept = self._kept
        if self._missing:
            part = chunk[position : position + self._missing]
            kept += part
            position += len(part)
            self._missing -= len(part)
            if self._missing:
                return position
            self._line = len(kept)
        if kept.endswith(b"\r", self._line) and chunk[position : position + 1] == b"\n":
            end = position + 1
        else:
            found = chunk.find(b"\r\n", position)
            end = found + 2 if found >= 0 else len(chunk)
        kept += chunk[position:end]
        if len(kept) - self._line > MAX_LINE:
            raise ProtocolError(f"a line exceeds {MAX_LINE} octets")
        self._bound(0)
        return end

    def _announced(self) -> bool:
        """Whether the line just read ends in a literal's announcement; if so, prepare it."""
        kept = self._kept
        match = _ANNOUNCED.search(bytes(kept[max(self._line, len(kept) - _TAIL) :]))
        if match is None:
            return False
        size = int(match[1])
        self._bound(size)
        self._missing = size
        self._line = len(kept)
        return True

    def _complete(self) -> Line:
        line = parse(bytes(self._kept[:-2]))
        self._taken = 0 if is_completion(line) else self._taken + len(self._kept)
        self._kept.clear()
        self._line = 0
        return line

    def _bound(self, more: int) -> None:
        if self._taken + len(self._kept) + more > MAX_RESPONSE:
            raise ProtocolError(f"a response exceeds {MAX_RESPONSE} octets")
