"""RFC 9051 §2.2.2, §4.3: cut the octets from a server into complete responses.

A response is a line that may go on after literals, each announced as `{5}` at the end of what comes
before it. The framer reads every octet once, whatever the chunks are, and bounds what a server can
make it keep.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.imap.errors import ProtocolError

MAX_LINE = 1 << 20
"""Octets between two literals. Dovecot's longest real lines (BODYSTRUCTURE) are some 100 kB."""
MAX_NUMBERS = 4 << 20
"""Octets of a line of numbers: `* SEARCH` with half a million UIDs, where there is no ESEARCH."""
MAX_LITERAL = 4 << 20
"""Octets of one literal. Larger message data are fetched in partial chunks."""
MAX_RESPONSE = 8 << 20
"""Octets of one response with all its literals."""
MAX_LITERALS = 20_000
"""Literals of one response."""

_ANNOUNCED = re.compile(rb"\{([0-9]++)\+?\}\Z")
_DIGITS = 10  # a literal's length is a number64; more digits than this exceed any bound here
_TAIL = 32  # octets at the end of a line in which an announcement must fit
# The text of a status response may end in anything, `{5}` too, and announces no literal.
_TEXT_ONLY = re.compile(
    rb"\x00*+(?:(?!\* )|\* (?:OK|NO|BAD|BYE|PREAUTH)(?: |\r|\Z))", re.IGNORECASE
)
_NUMBERS = re.compile(rb"\* (?:SEARCH|SORT) [0-9]", re.IGNORECASE)


class Frame(NamedTuple):
    """One complete response without its last CRLF, and where its literals are: (start, length)."""

    octets: bytes
    literals: tuple[tuple[int, int], ...] = ()


class Framer:
    """Feed it chunks with `read`; it returns one complete response at a time.

    Raises ProtocolError when a bound is exceeded; the framer is of no use after that.
    """

    __slots__ = ("_kept", "_line", "_literals", "_missing", "max_literal")

    def __init__(self, max_literal: int = MAX_LITERAL) -> None:
        self.max_literal = max_literal
        self._kept = bytearray()  # the response so far
        self._line = 0  # where its current line starts in _kept
        self._literals: list[tuple[int, int]] = []
        self._missing = 0  # octets of the current literal still to come

    @property
    def pending(self) -> bool:
        """Whether part of a response has been read."""
        return bool(self._kept)

    def read(self, chunk: bytes, position: int = 0) -> tuple[Frame | None, int]:
        """Go on at chunk[position]; returns the response that is complete then, and where to go on.

        (None, len(chunk)) when there is none yet.
        """
        kept = self._kept
        while True:
            if self._missing:
                part = chunk[position : position + self._missing]
                kept += part
                position += len(part)
                self._missing -= len(part)
                if self._missing:
                    return None, position
                self._line = len(kept)
            position, whole = self._read_line(chunk, position)
            if not whole:
                return None, position
            if not self._announced():
                del kept[-2:]
                frame = Frame(bytes(kept), tuple(self._literals))
                kept.clear()
                self._line = 0
                self._literals = []
                return frame, position

    def feed(self, chunk: bytes) -> list[Frame]:
        """All responses that are complete with this chunk."""
        frames = []
        position = 0
        while position < len(chunk):
            frame, position = self.read(chunk, position)
            if frame is not None:
                frames.append(frame)
        return frames

    def _read_line(self, chunk: bytes, position: int) -> tuple[int, bool]:
        """Keep octets up to and with the next CRLF; returns the position after, and if one came."""
        kept = self._kept
        if len(kept) > self._line and kept[-1] == 13 and chunk[position : position + 1] == b"\n":
            end = position + 1
            whole = True
        else:
            end = chunk.find(b"\r\n", position)
            whole = end >= 0
            end = end + 2 if whole else len(chunk)
        kept += chunk[position:end]
        length = len(kept) - self._line
        if length > MAX_LINE and (length > MAX_NUMBERS or not _NUMBERS.match(kept)):
            raise ProtocolError(f"a response line exceeds {MAX_LINE} octets")
        if len(kept) > MAX_RESPONSE:
            raise ProtocolError(f"a response exceeds {MAX_RESPONSE} octets")
        return end, whole

    def _announced(self) -> bool:
        """Whether the line just completed ends in a literal's announcement; if so, prepare it."""
        kept = self._kept
        if len(kept) < 5 or kept[-3] != 125 or _TEXT_ONLY.match(kept):  # 125 is "}"
            return False
        tail = bytes(kept[max(self._line, len(kept) - _TAIL) : -2])
        match = _ANNOUNCED.search(tail)
        if match is None:
            if tail[:-1].rstrip(b"+").isdigit():
                raise ProtocolError("a literal's length has too many digits")
            return False
        digits = match[1]
        if len(digits) > _DIGITS or int(digits) > self.max_literal:
            raise ProtocolError(f"a literal of {digits[:_DIGITS].decode()} octets or more")
        length = int(digits)
        if len(kept) + length > MAX_RESPONSE:
            raise ProtocolError(f"a response exceeds {MAX_RESPONSE} octets")
        if len(self._literals) == MAX_LITERALS:
            raise ProtocolError(f"a response has over {MAX_LITERALS} literals")
        self._literals.append((len(kept), length))
        self._missing = length
        self._line = len(kept)
        return True
