"""RFC 9051 §4, §9: the arguments of commands. Everything a command sends is built here.

An `Encoded` can only come from the functions below, each of which checks its grammar, so nothing a
user or a message says can end an argument, or a command, early.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from gateway.imap.wire import modutf7
from gateway.imap.wire.capability import Capabilities

MAX_SET = 7_900
"""Octets of a packed UID set: RFC 7162 §4 has servers take lines of 8,192 octets at least."""
MAX_UID = (1 << 32) - 1

_MAX_QUOTED = 1024  # longer strings go out as literals: some servers bound a line at 8,192 octets
_NONSYNC_SHORT = 4096  # RFC 7888 §5: the longest literal under LITERAL-
_NONSYNC_UPLOAD = 65_536  # before more than this, the server may say that it does not want it

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_QUOTABLE = re.compile(rb"[^\x00\r\n\x80-\xff]*")
_FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_SEQUENCE_SET = re.compile(rb"[1-9*][0-9]*(?::[1-9*][0-9]*)?(?:,[1-9*][0-9]*(?::[1-9*][0-9]*)?)*")
_ITEM = re.compile(rb"[A-Z][A-Z0-9.\-]*")
_PART = re.compile(rb"(?:[1-9][0-9]*(?:\.[1-9][0-9]*)*)?")
_FIELD = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\:\]\[]+')


@dataclass(frozen=True, slots=True)
class Literal:
    """RFC 9051 §4.3: octets sent after their length."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Upload:
    """RFC 9051 §4.3: a literal that comes in chunks, which together are of this size in octets.

    A command has one at most.
    """

    size: int
    chunks: AsyncIterator[bytes]


Segment: TypeAlias = bytes | Literal | Upload


@dataclass(frozen=True, slots=True)
class Encoded:
    """An argument, or several: octets for the command line, and literals."""

    segments: tuple[Segment, ...]

    @property
    def line(self) -> bytes:
        """What of it stands on the command line."""
        return b"".join(part for part in self.segments if isinstance(part, bytes))


class Literals(Enum):
    """RFC 7888: when a literal may be sent without waiting for the server."""

    SYNCHRONISING = 0
    SHORT = 1
    ALL = 2

    @classmethod
    def of(cls, capabilities: Capabilities) -> Literals:
        """What a server with these capabilities takes."""
        if "LITERAL+" in capabilities:
            return cls.ALL
        # IMAP4rev2 includes LITERAL- (RFC 9051 §4.3)
        if "LITERAL-" in capabilities or "IMAP4REV2" in capabilities:
            return cls.SHORT
        return cls.SYNCHRONISING


SequenceSet: TypeAlias = bytes


def atom(text: str) -> Encoded:
    """An atom: names of commands, capabilities, charsets. Raises ValueError for anything else."""
    return _checked(_ATOM, text.encode(), "an atom")


def number(value: int) -> Encoded:
    """A number64. Raises ValueError outside of 63 bits."""
    if not 0 <= value < 1 << 63:
        raise ValueError(f"not an IMAP number: {value}")
    return Encoded((b"%d" % value,))


def string(value: str | bytes) -> Encoded:
    """A string: quoted where it can be, else a literal. Raises ValueError on NUL (no CHAR8)."""
    octets = _octets(value)
    if len(octets) <= _MAX_QUOTED and _QUOTABLE.fullmatch(octets):
        return Encoded((b'"%s"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"'),))
    return Encoded((Literal(octets),))


def astring(value: str | bytes) -> Encoded:
    """An atom where the grammar allows one, else a string. An atom NIL would mean no value."""
    octets = _octets(value)
    if _ASTRING.fullmatch(octets) and octets.upper() != b"NIL" and len(octets) <= _MAX_QUOTED:
        return Encoded((octets,))
    return string(octets)


def mailbox(wire: bytes) -> Encoded:
    """A mailbox by its wire name, as a server listed it or `mailbox_name` made it."""
    return astring(wire)


def mailbox_name(name: str) -> bytes:
    """The wire name for a new mailbox (RFC 3501 §5.1.3). INBOX is case-insensitive."""
    return b"INBOX" if name.upper() == "INBOX" else modutf7.encode(name)


def list_pattern(pattern: str) -> Encoded:
    """RFC 9051 §6.3.9 list-mailbox: a pattern with * and %, quoted."""
    return string(modutf7.encode(pattern))


def flag(name: str) -> Encoded:
    """A system flag or keyword. Raises ValueError for what is neither."""
    return _checked(_FLAG, name.encode(), "a flag")


def sequence_set(packed: SequenceSet) -> Encoded:
    """A set made by pack_uids, or one like b"1:*"."""
    if not _SEQUENCE_SET.fullmatch(packed):
        raise ValueError(f"not a sequence set: {packed[:40]!r}")
    return Encoded((packed,))


def date_time(moment: datetime) -> Encoded:
    """RFC 9051 §9 date-time. Raises ValueError without a zone."""
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("a date-time has a zone")
    minutes = round(offset.total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    zone = f"{sign}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
    month = _MONTHS[moment.month - 1]
    text = f'"{moment.day:2d}-{month}-{moment.year:04d} {moment:%H:%M:%S} {zone}"'
    return Encoded((text.encode(),))


def item(name: str) -> Encoded:
    """The name of a FETCH, STATUS, SEARCH or LIST item without arguments."""
    return _checked(_ITEM, name.encode(), "an item")


def section(
    name: str, part: str = "", fields: Sequence[str] = (), window: tuple[int, int] | None = None
) -> Encoded:
    """RFC 9051 §6.4.5: BODY.PEEK[part.name (fields)]<start.length>; BINARY.PEEK for "BINARY".

    `name` is HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT, MIME, BINARY or "" for all of the
    part; `window` is (first octet, octets at most).
    """
    if name not in ("", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME", "BINARY"):
        raise ValueError(f"not a section: {name!r}")
    number = _checked(_PART, part.encode(), "a part number").line
    text = b"" if name == "BINARY" else name.encode()
    path = b".".join(filter(None, (number, text)))
    if fields:
        names = [_checked(_FIELD, field.encode(), "a header field").line for field in fields]
        path += b" (%s)" % b" ".join(names)
    peek = b"BINARY.PEEK" if name == "BINARY" else b"BODY.PEEK"
    span = b"<%d.%d>" % window if window else b""
    return Encoded((b"%s[%s]%s" % (peek, path, span),))


def is_header_field(name: str) -> bool:
    """Whether a name of a header field can stand in a section."""
    return _FIELD.fullmatch(name.encode("utf-8", "surrogatepass")) is not None


def join(*arguments: Encoded) -> Encoded:
    """Arguments one after the other, with a space between."""
    segments: list[Segment] = []
    for argument in arguments:
        if segments:
            segments.append(b" ")
        segments.extend(argument.segments)
    return Encoded(tuple(segments))


def parenthesised(*arguments: Encoded) -> Encoded:
    """A list of arguments."""
    return Encoded((b"(", *join(*arguments).segments, b")"))


def pack_uids(uids: Iterable[int], limit: int = MAX_SET) -> list[SequenceSet]:
    """RFC 9051 §9 sequence-set: ascending, as ranges, in sets of at most `limit` octets.

    Raises ValueError for what is no UID.
    """
    ordered = list(uids)
    if any(map(int.__ge__, ordered, ordered[1:])):
        ordered = sorted(set(ordered))
    if ordered and not 0 < ordered[0] <= ordered[-1] <= MAX_UID:
        raise ValueError("a UID is a number from 1 to 4294967295")
    sets: list[SequenceSet] = []
    parts: list[bytes] = []
    room = limit
    for first, last in _ranges(ordered):
        part = b"%d" % first if first == last else b"%d:%d" % (first, last)
        room -= len(part) + 1
        if room < 0 and parts:
            sets.append(b",".join(parts))
            parts = []
            room = limit - len(part) - 1
        parts.append(part)
    if parts:
        sets.append(b",".join(parts))
    return sets


@dataclass(frozen=True, slots=True)
class Write:
    """Octets of a command; after them the server is waited for, then the upload takes place."""

    octets: bytes
    waits: bool = False
    uploads: bool = False


def serialise(tag: bytes, command: Encoded, literals: Literals) -> list[Write]:
    """The octets of a command, cut where something comes between them (RFC 9051 §4.3)."""
    writes: list[Write] = []
    line = [tag, b" "]
    for segment in command.segments:
        if isinstance(segment, bytes):
            line.append(segment)
            continue
        uploads = isinstance(segment, Upload)
        size = segment.size if isinstance(segment, Upload) else len(segment.octets)
        at_most = _NONSYNC_UPLOAD if uploads else None
        waits = not _may_follow(size, literals, at_most)
        line.append(b"{%d}\r\n" % size if waits else b"{%d+}\r\n" % size)
        if waits or uploads:
            writes.append(Write(b"".join(line), waits, uploads))
            line = []
        if isinstance(segment, Literal):
            line.append(segment.octets)
    line.append(b"\r\n")
    writes.append(Write(b"".join(line)))
    return writes


def _may_follow(size: int, literals: Literals, at_most: int | None) -> bool:
    """RFC 7888: whether a literal may be sent at once; `at_most` is a bound of our own."""
    if at_most is not None and size > at_most:
        return False
    return literals is Literals.ALL or (literals is Literals.SHORT and size <= _NONSYNC_SHORT)


def _ranges(ordered: list[int]) -> list[tuple[int, int]]:
    if not ordered:
        return []
    if ordered[-1] - ordered[0] + 1 == len(ordered):
        return [(ordered[0], ordered[-1])]
    ranges: list[tuple[int, int]] = []
    first = last = ordered[0]
    for uid in ordered[1:]:
        if uid != last + 1:
            ranges.append((first, last))
            first = uid
        last = uid
    ranges.append((first, last))
    return ranges


def _octets(value: str | bytes) -> bytes:
    try:
        octets = value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate can not be sent to an IMAP server") from None
    if b"\0" in octets:
        raise ValueError("NUL can not be sent to an IMAP server")
    return octets


def _checked(grammar: re.Pattern[bytes], octets: bytes, what: str) -> Encoded:
    if not grammar.fullmatch(octets):
        raise ValueError(f"not {what}: {octets[:40]!r}")
    return Encoded((octets,))
