"""RFC 8621 §4.8, RFC 5322 §2.3: octets of anybody, made those of a message that servers take.

NUL octets, which neither messages nor IMAP can have, are taken out, and lines that end with LF
alone get their CR. Nothing else is changed: what else a header or a body is, readers bear.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.mime import headers

MAX_HEADER_OCTETS: Final = 1 << 20
"""Octets at the beginning of a message that are looked at as its header."""
TEXT_OCTETS: Final = 1 << 16
"""Octets kept of what follows the header."""

_EMPTY_LINE = re.compile(rb"(?:\A|\n)\r?\n")
_BINARY = re.compile(rb"\ncontent-transfer-encoding:[ \t]*+binary", re.IGNORECASE)
_LONGEST_BINARY = 64


class Mender:
    """Takes a message in chunks, and gives it mended."""

    def __init__(self) -> None:
        self._after_cr = False

    def feed(self, chunk: bytes) -> bytes:
        """The next chunk, mended."""
        if b"\0" in chunk:
            chunk = chunk.replace(b"\0", b"")
        if not chunk:
            return b""
        ends_line = self._after_cr and chunk.startswith(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        if chunk.count(b"\n") == chunk.count(b"\r\n") + ends_line:
            return chunk
        first, rest = (b"\n", chunk[1:]) if ends_line else (b"", chunk)
        return first + rest.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Inspection:
    """What a message, taken in mended chunks, is known to be at its end."""

    def __init__(self) -> None:
        self._mender = Mender()
        self._beginning = bytearray()
        self._last_octets = b"\n"
        self._had_nul = False
        self._declares_binary = False
        self.size = 0
        """Octets, mended."""

    def feed(self, chunk: bytes) -> bytes:
        """The next chunk; gives it mended."""
        self._had_nul = self._had_nul or b"\0" in chunk
        if not self._declares_binary:
            text = self._last_octets + chunk
            self._declares_binary = _BINARY.search(text) is not None
            self._last_octets = text[-_LONGEST_BINARY:]
        mended = self._mender.feed(chunk)
        self.size += len(mended)
        room = MAX_HEADER_OCTETS + TEXT_OCTETS - len(self._beginning)
        if room > 0:
            self._beginning += mended[:room]
        return mended

    @property
    def header(self) -> bytes:
        """The header, with the empty line that ends it."""
        return bytes(self._beginning[: self._end_of_header()])

    @property
    def text(self) -> bytes:
        """The first octets of what follows the header, at most TEXT_OCTETS."""
        end = self._end_of_header()
        return bytes(self._beginning[end : end + TEXT_OCTETS])

    def _end_of_header(self) -> int:
        match = _EMPTY_LINE.search(self._beginning, 0, MAX_HEADER_OCTETS)
        return match.end() if match else min(len(self._beginning), MAX_HEADER_OCTETS)

    def defect(self) -> str | None:
        """Why it is no message and can not be made one, None if it is one.

        A message has a header field at least. A part in binary (RFC 2045 §2.9) is not to be
        stripped of its NUL octets.
        """
        if not headers.has_fields(self.header):
            return "It does not begin with a header."
        if self._had_nul and self._declares_binary:
            return "It has a part that is encoded as binary, which mail servers do not take."
        return None
