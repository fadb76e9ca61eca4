"""RFC 9051 §7: the three kinds of server responses: untagged, tagged, command continuation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from gateway.imap.errors import ProtocolError
from gateway.imap.wire.encode import MAX_UID
from gateway.imap.wire.framer import Frame
from gateway.imap.wire.tokens import Span, Value, tokenize

STATES = frozenset({"OK", "NO", "BAD", "BYE", "PREAUTH"})

_NUMBER_OCTETS = 40

_UNTAGGED = re.compile(rb"\* ++(?>(?:(\d{1,10}+) ++)?)([A-Za-z][^ \[]*+) *+")
_TAGGED = re.compile(rb"([^ \x00-\x1f*+]{1,64}+) ++(OK|NO|BAD)(?: ++|\Z)", re.IGNORECASE)
# A response code ends at the first ] outside of strings and lists: [PERMANENTFLAGS (a]b \*)].
_CODE = re.compile(
    rb'\[((?>(?:[^]"(]++|"[^"\\]*+(?>(?:\\.[^"\\]*+)*)"'
    rb'|\((?>(?:[^"()]++|"[^"\\]*+(?>(?:\\.[^"\\]*+)*)")*)\))*))\] ?',
    re.DOTALL,
)
_PLAIN_CODE = re.compile(rb"\[([^]]*+)\] ?")
_CODE_NAME = re.compile(rb" *+([^ ]++) *+")
_WORD = re.compile(rb"[^ ]++")
_FLOAT = re.compile(rb"\d{1,19}+(?>(?:\.\d{0,19}+)?)(?>(?:[eE]\+?\d{1,2}+)?)")


@dataclass(frozen=True, slots=True)
class Code:
    """RFC 9051 §7.1: a response code; `name` in upper case."""

    name: str
    arguments: tuple[Value, ...] = ()

    def number(self, index: int = 0) -> int | None:
        """The argument as a number, or None where it is missing or something else."""
        return number(self.arguments[index]) if len(self.arguments) > index else None


@dataclass(frozen=True, slots=True)
class Text:
    """RFC 9051 §9 resp-text: what follows OK, NO, BAD, BYE, PREAUTH."""

    code: Code | None
    text: str


@dataclass(frozen=True, slots=True)
class Tagged:
    """RFC 9051 §7.1: the end of a command; `status` is OK, NO or BAD."""

    tag: bytes
    status: str
    text: Text

    @property
    def code(self) -> str | None:
        """The name of the response code."""
        return self.text.code.name if self.text.code else None


@dataclass(frozen=True, slots=True)
class Continuation:
    """RFC 9051 §7.6: the server waits for the rest of a command."""

    text: bytes


@dataclass(frozen=True)
class Untagged:
    """RFC 9051 §7.1 to §7.5: `* [number] NAME ...`; `name` in upper case, `number` as in EXISTS."""

    name: str
    number: int | None
    frame: Frame
    start: int
    """Where the data after the name begin in frame.octets."""

    @cached_property
    def values(self) -> list[Value]:
        """The data after the name. Raises ProtocolError when they are no IMAP data."""
        return tokenize(self.frame, self.start)

    @property
    def numbers(self) -> list[int]:
        """The UIDs of a SEARCH or SORT response, which may be very many; what is none left out."""
        octets = self.frame.octets
        last = octets.find(b"(", self.start)  # (MODSEQ 917)
        words = _WORD.finditer(octets, self.start, last if last >= 0 else len(octets))
        return [uid for word in words if (uid := unique_id(word[0])) is not None]

    def values_with_spans(self) -> tuple[list[Value], list[Span]]:
        """The same, and where the values inside the first list are in frame.octets."""
        spans: list[Span] = []
        return tokenize(self.frame, self.start, spans), spans

    @cached_property
    def text(self) -> Text:
        """The code and the text, of a response whose name is one of STATES."""
        return parse_text(self.frame.octets[self.start :])


def parse(frame: Frame) -> Untagged | Tagged | Continuation:
    """Raises ProtocolError for a line that is none of the three."""
    octets = frame.octets
    # Some servers send NULs before a line.
    start = 0 if octets[:1] != b"\0" else len(octets) - len(octets.lstrip(b"\0"))
    if octets.startswith((b"* [", b"["), start):  # a code without its OK: Exchange, for COPYUID
        return Untagged("OK", None, frame, octets.index(b"[", start))
    if octets.startswith(b"* ", start):
        match = _UNTAGGED.match(octets, start)
        if match is None:
            raise ProtocolError(f"not an untagged response: {octets[:40]!r}")
        return Untagged(
            match[2].decode("ascii", "replace").upper(),
            int(match[1]) if match[1] else None,
            frame,
            match.end(),
        )
    if octets.startswith(b"+", start):
        return Continuation(octets[start + 1 :].lstrip(b" "))
    if octets.startswith(b"Server Unavailable.", start):  # Exchange, before it closes
        return Untagged("BYE", None, frame, start)
    match = _TAGGED.match(octets, start)
    if match is None:
        raise ProtocolError(f"not a response: {octets[:40]!r}")
    return Tagged(match[1], match[2].decode().upper(), parse_text(octets[match.end() :]))


def parse_text(octets: bytes) -> Text:
    """A resp-text. What looks like a code and is none is text: no server's prose is an error."""
    match = _CODE.match(octets) or _PLAIN_CODE.match(octets)
    if match is None:
        return Text(None, octets.decode("utf-8", "replace"))
    name = _CODE_NAME.match(match[1])
    if name is None:
        return Text(None, octets.decode("utf-8", "replace"))
    try:
        arguments = tuple(tokenize(Frame(match[1]), name.end()))
    except ProtocolError:
        arguments = ()
    code = Code(name[1].decode("ascii", "replace").upper(), arguments)
    return Text(code, octets[match.end() :].decode("utf-8", "replace"))


def number(value: Value) -> int | None:
    """A number of at most 63 bits (RFC 9051 §9 number64), or None for anything else.

    Also of one that mail.ru writes as a float (9.3736e+06).
    """
    if not isinstance(value, bytes) or len(value) > _NUMBER_OCTETS:
        return None
    if value.isdigit():
        found = int(value)
    elif _FLOAT.fullmatch(value):
        found = int(float(value))
    else:
        return None
    return found if found < 1 << 63 else None


def unique_id(value: Value) -> int | None:
    """A UID (RFC 9051 §9 uniqueid), or None for anything else: 0, what exceeds 32 bits, a float."""
    if isinstance(value, bytes) and value.isdigit() and len(value) <= _NUMBER_OCTETS:
        found = int(value)
        return found if 0 < found <= MAX_UID else None
    return None
