"""RFC 2045 §6: Content-Transfer-Encoding, decoded whole or as it comes.

Decoding is tolerant: what is no base64 is skipped, what is no quoted-printable stays as it is,
and either counts as a problem. An encoding that is not known is treated as none (RFC 8621
§4.1.4), which is a problem too.
"""

from __future__ import annotations

import binascii
import re
from string import hexdigits
from typing import Protocol

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(octet for octet in range(256) if octet not in _BASE64 + b"=")
_WHITE = b" \t\r\n"
_HEX = {(a + b).encode(): bytes.fromhex(a + b) for a in hexdigits for b in hexdigits}
_NOT_QUOTED_PRINTABLE = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)|[ \t]\r?\n|\r(?!\n)")
_IDENTITY = ("", "7bit", "8bit", "binary")


class Decoder(Protocol):
    """Decodes what is fed to it; the pieces joined are the same however the input was cut."""

    problem: bool

    def feed(self, octets: bytes) -> bytes:
        """The decoded octets that are certain after `octets`."""
        ...

    def finish(self) -> bytes:
        """The decoded octets that were held back, at the end of the input."""
        ...


def name(encoding: str | None) -> str:
    """The encoding in lower case, without comments and the other things found after it."""
    lowered = (encoding or "").strip().lower()
    for end in ("(", ";", " ", "\t"):
        lowered = lowered.partition(end)[0]
    return lowered


def decoder(encoding: str | None) -> Decoder:
    """A decoder for a Content-Transfer-Encoding, as given by a header field or BODYSTRUCTURE."""
    match name(encoding):
        case "base64":
            return _Base64()
        case "quoted-printable":
            return _QuotedPrintable()
        case known:
            return _Identity(problem=known not in _IDENTITY)


def decode(octets: bytes, encoding: str | None, *, final: bool = True) -> tuple[bytes, bool]:
    """The decoded octets, and whether there was a problem.

    `final` is False when the octets end early; what can not be decoded yet is then left out.
    """
    decoding = decoder(encoding)
    decoded = decoding.feed(octets)
    if final:
        decoded += decoding.finish()
    return decoded, decoding.problem


class _Identity:
    def __init__(self, problem: bool) -> None:
        self.problem = problem

    def feed(self, octets: bytes) -> bytes:
        return octets

    def finish(self) -> bytes:
        return b""


class _Base64:
    """RFC 2045 §6.8. Padding ends a run of base64; what comes after it is decoded as another."""

    def __init__(self) -> None:
        self.problem = False
        self._quantum = b""
        self._padded = False

    def feed(self, octets: bytes) -> bytes:
        clean = octets.translate(None, _NOT_BASE64)
        if len(clean) != len(octets) and len(octets.translate(None, _WHITE)) != len(clean):
            self.problem = True
        *runs, last = (self._quantum + clean).split(b"=")
        decoded = []
        for run in runs:
            decoded.append(self._run(run))
            self._padded = True
        if last and self._padded:
            self.problem = True
        whole = len(last) & ~3
        self._quantum = last[whole:]
        decoded.append(binascii.a2b_base64(last[:whole]))
        return b"".join(decoded)

    def finish(self) -> bytes:
        quantum, self._quantum = self._quantum, b""
        return self._run(quantum)

    def _run(self, run: bytes) -> bytes:
        """One run of base64 without its padding."""
        if run and self._padded:
            self.problem = True
        if len(run) % 4 == 1:
            self.problem = True
            run = run[:-1]
        return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


class _QuotedPrintable:
    """RFC 2045 §6.7. Held back: white space and what may be the start of an escape."""

    _BLANK = b" \t\r"

    def __init__(self) -> None:
        self.problem = False
        self._held: list[bytes] = []

    def feed(self, octets: bytes) -> bytes:
        if self._held and not octets.strip(self._BLANK):
            # A run of white space is looked at once, when it ends.
            self._held.append(octets)
            return b""
        held = b"".join((*self._held, octets))
        settled = held.rstrip(self._BLANK)
        end = len(settled)
        if settled.endswith(b"="):
            end -= 1
        elif settled[-2:-1] == b"=" and end == len(held):
            end -= 2
        self._held = [held[end:]] if end < len(held) else []
        return self._decode(held[:end])

    def finish(self) -> bytes:
        rest = b"".join(self._held).rstrip(self._BLANK)
        self._held = []
        # A soft line break may end the text.
        return self._decode(rest) if rest != b"=" else b""

    def _decode(self, octets: bytes) -> bytes:
        if not _NOT_QUOTED_PRINTABLE.search(octets):
            return binascii.a2b_qp(octets)
        *lines, last = octets.split(b"\n")
        decoded = []
        for line in lines:
            text = line.rstrip(self._BLANK)
            if text.endswith(b"="):
                decoded.append(self._unescape(text[:-1]))
            else:
                decoded.append(self._unescape(text))
                decoded.append(b"\r\n" if line.endswith(b"\r") else b"\n")
        decoded.append(self._unescape(last))
        return b"".join(decoded)

    def _unescape(self, text: bytes) -> bytes:
        first, *escaped = text.split(b"=")
        decoded = [first]
        for piece in escaped:
            octet = _HEX.get(piece[:2])
            if octet is None:
                self.problem = True
                decoded.append(b"=" + piece)
            else:
                decoded.append(octet + piece[2:])
        return b"".join(decoded)
