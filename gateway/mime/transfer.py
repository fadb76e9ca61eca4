"""RFC 2045 §6: Content-Transfer-Encoding, decoded whole or as it comes.

Decoding is tolerant: what is no base64 is skipped, what is no quoted-printable stays as it is,
and either counts as a problem. An encoding that is not known is treated as none (RFC 8621
§4.1.4), which is a problem too. Uuencoded parts (POSIX uuencode), which are no standard of mail,
are still met in it.

What is well-formed is decoded by the C functions of binascii as it is, which is then seen from the
number of octets that they give; only the rest is taken apart.
"""

from __future__ import annotations

import binascii
import re
from string import hexdigits
from typing import Literal, Protocol

import pybase64

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(octet for octet in range(256) if octet not in _BASE64 + b"=")
_WHITE = b" \t\r\n"
_HEX = {(a + b).encode(): bytes.fromhex(a + b) for a in hexdigits for b in hexdigits}
_BLANK_ENDS = (b" \r\n", b"\t\r\n", b"\r\r\n", b" \n", b"\t\n")
_IDENTITY = ("", "7bit", "8bit", "binary")
_UUENCODE = ("x-uuencode", "x-uue", "uuencode")
_MAX_HELD = 256  # octets that a decoder needs to go on where another one is


class Decoder(Protocol):
    """Decodes what is fed to it; the pieces joined are the same however the input was cut."""

    problem: bool

    @property
    def held(self) -> bytes | None:
        """What takes a new decoder, when fed with it, to where this one is; None if it is long."""
        ...

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
        case known if known in _UUENCODE:
            return _Uuencode()
        case known:
            return _Identity(problem=known not in _IDENTITY)


def is_identity(encoding: str | None) -> bool:
    """Whether decoding leaves the octets as they are."""
    return name(encoding) not in ("base64", "quoted-printable", *_UUENCODE)


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
    held = b""

    def __init__(self, problem: bool) -> None:
        self.problem = problem

    def feed(self, octets: bytes) -> bytes:
        return octets

    def finish(self) -> bytes:
        return b""


class _Base64:
    """RFC 2045 §6.8. Padding ends a run of base64; what comes after it is decoded as another."""

    _TAIL = 16  # octets among which the start of a quantum is looked for

    def __init__(self) -> None:
        self.problem = False
        self._quantum = b""
        self._padded = False

    @property
    def held(self) -> bytes:
        return self._quantum

    def feed(self, octets: bytes) -> bytes:
        octets = self._quantum + octets
        decoded = self._well_formed(octets)
        return self._tolerant(octets) if decoded is None else decoded

    def _well_formed(self, octets: bytes) -> bytes | None:
        """What lines of base64 decode to; None for anything else."""
        if self._padded or b"=" in octets:
            return None
        characters = len(octets) - _breaks(octets)
        end = len(octets)
        missing = characters & 3
        while missing:
            if not max(0, len(octets) - self._TAIL) < end:
                return None
            end -= 1
            missing -= octets[end] not in b"\r\n"
        quantum = octets[end:].translate(None, b"\r\n")
        try:
            decoded: bytes = pybase64.b64decode(memoryview(octets)[:end])
        except binascii.Error:
            return None
        if len(decoded) != characters // 4 * 3 or quantum.translate(None, _NOT_BASE64) != quantum:
            return None
        self._quantum = quantum
        return decoded

    def _tolerant(self, octets: bytes) -> bytes:
        clean = octets.translate(None, _NOT_BASE64)
        if len(clean) != len(octets) and len(octets.translate(None, _WHITE)) != len(clean):
            self.problem = True
        *runs, last = clean.split(b"=")
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


def _breaks(octets: bytes) -> int:
    """How many octets line ends take; a wrong number if they are not all alike."""
    first = octets.find(b"\r\n")
    length = octets.find(b"\r\n", first + 2) - first
    if 0 <= first < length:
        lines = (len(octets) - first - 2) // length + 1
        # Lines that are all equally long, as nearly always, need not be looked for.
        if octets[first + 1 :: length].count(b"\n") == lines and octets[first::length].startswith(
            b"\r" * lines
        ):
            return 2 * lines
    return 2 * octets.count(b"\r\n") or octets.count(b"\n")


class _QuotedPrintable:
    """RFC 2045 §6.7. Held back: white space and what may be the start of an escape."""

    _BLANK = b" \t\r"

    def __init__(self) -> None:
        self.problem = False
        self._held: list[bytes] = []

    @property
    def held(self) -> bytes | None:
        if sum(map(len, self._held)) > _MAX_HELD:
            return None
        return b"".join(self._held)

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
        decoded = self._well_formed(octets)
        return self._tolerant(octets) if decoded is None else decoded

    def _well_formed(self, octets: bytes) -> bytes | None:
        """What quoted-printable decodes to; None for anything else."""
        if any(end in octets for end in _BLANK_ENDS):
            return None
        crlf, lf = octets.count(b"=\r\n"), octets.count(b"=\n")
        if octets.count(b"=\r") != crlf:
            return None
        decoded = binascii.a2b_qp(octets)
        # It leaves what is no escape as it is, or nearly so: more is left then.
        escapes = octets.count(b"=") - crlf - lf
        return decoded if len(octets) - len(decoded) == 2 * escapes + 3 * crlf + 2 * lf else None

    def _tolerant(self, octets: bytes) -> bytes:
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


class _Uuencode:
    """POSIX uuencode: lines between `begin 644 name` and `end`, each with its number of octets.

    What does not begin so is left as it is; what follows the end is not part of it.
    """

    held = None

    _BEGIN = re.compile(rb"begin [0-7]{3,4} ")
    _BEGIN_OCTETS = 11
    _BLANK_OCTETS = 4096  # at most, before it
    _LINE_OCTETS = 128  # of a line that matter: its 63 octets at most take 84 characters
    _ALPHABET = bytes(octet if 32 <= octet <= 96 else 32 for octet in range(256))

    def __init__(self) -> None:
        self.problem = False
        self._state: Literal["before", "begin", "inside", "after", "none"] = "before"
        self._waiting: list[bytes] = []  # before the state is known
        self._waiting_octets = 0
        self._line = b""

    def feed(self, octets: bytes) -> bytes:
        if self._state == "before":
            octets = self._find_begin(octets)
        if self._state == "none":
            return octets
        if self._state == "after" or not octets:
            return b""
        *lines, rest = (self._line + octets).split(b"\n")
        self._line = rest[: self._LINE_OCTETS]
        return b"".join(map(self._decode, lines))

    def _find_begin(self, octets: bytes) -> bytes:
        """All there is from `begin` on, or from the start if there is none."""
        self._waiting.append(octets)
        self._waiting_octets += len(octets)
        if self._waiting_octets <= self._BLANK_OCTETS and not octets.strip(_WHITE):
            return b""
        octets = b"".join(self._waiting)
        text = octets.lstrip(_WHITE)
        is_near = len(octets) - len(text) <= self._BLANK_OCTETS
        if is_near and len(text) < self._BEGIN_OCTETS:
            self._waiting = [octets]
            return b""
        self._waiting.clear()
        if is_near and self._BEGIN.match(text):
            self._state = "begin"
            return text
        self._state = "none"
        self.problem = True
        return octets

    def finish(self) -> bytes:
        if self._state == "before":
            octets = b"".join(self._waiting)
            self.problem = bool(octets.strip(_WHITE))
            return octets
        decoded = self._decode(self._line)
        self.problem = self.problem or self._state in ("begin", "inside")
        return decoded

    def _decode(self, line: bytes) -> bytes:
        line = line[: self._LINE_OCTETS].rstrip(b"\r")
        if self._state == "begin":
            self._state = "inside"
        elif line.rstrip(_WHITE) == b"end":
            self._state = "after"
        elif self._state == "inside" and line:
            count = (line.translate(self._ALPHABET)[0] - 32) & 63
            characters = 1 + (count * 4 + 2) // 3  # what fills up the last group may be anything
            clean = line[:characters].translate(self._ALPHABET)
            self.problem = self.problem or clean != line[:characters]
            # Spaces at the end may have been lost on the way.
            return binascii.a2b_uu(clean.ljust(characters))
        return b""
