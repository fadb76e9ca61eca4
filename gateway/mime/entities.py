"""RFC 2046 §5.1: where the parts of a message begin and end.

The octets are passed once, whatever they contain. A line is a delimiter if it begins with one, as
§5.1.1 says; where it begins with those of several open multiparts the longest is meant, of equal
ones the innermost. Lines end with LF, which CR may precede; a bare CR is like any other octet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.mime import contentfields, parameters
from gateway.mime.limits import MAX_DEPTH, MAX_PARTS, MAX_VALUE_OCTETS

_EMPTY_LINE = re.compile(rb"\n\r?\n")
_FIELD = re.compile(
    rb"\ncontent-(type|transfer-encoding|disposition|id|language|location)[ \t]*+:"
    rb"((?>[^\n]*+(?:\n[ \t][^\n]*+)*))",
    re.IGNORECASE,
)
_MAX_INNER_PARTS: Final = 10 * MAX_PARTS
"""Parts of attached messages that are told apart, as their delimiters may be taken for others."""


@dataclass(slots=True)
class Entity:
    """RFC 2045 §2.4: a message, or a part of one.

    header, content, end: offsets of the octets [header, content) and [content, end).
    fields: the raw value of each Content-* field by the rest of its name in lower case, of the
    first one where there are several. type: in lower case. parameters: of the type, as
    `parameters.from_list` takes them. children: of a multipart, in order; None if it is none.
    """

    header: int
    content: int
    end: int
    fields: Mapping[bytes, bytes]
    type: str
    parameters: Sequence[bytes]
    children: list[Entity] | None


def scan(octets: bytes) -> Entity:
    """The message that `octets` are, with its parts; attached messages are leaves.

    A multipart must have a boundary and a part (RFC 2046 §5.1.1). Without, it is none and hence
    text (RFC 2045 §5.2), so that what it contains can be read. Past the limits of depth and
    number, multiparts are empty.
    """
    return _Scanner(octets).scan()


@dataclass(slots=True)
class _Open:
    """An entity that has begun and not ended."""

    entity: Entity
    is_shown: bool  # whether it is outside of attached messages
    delimiter: bytes | None = None  # of a multipart until it is closed
    has_parts: bool = False  # of a multipart, whether or not they are within the limits


@dataclass(slots=True)
class _Scanner:
    octets: bytes
    path: list[_Open] = field(default_factory=list)  # from the message to the innermost entity
    delimiters: tuple[bytes, ...] = ()  # of the multiparts in `path`
    line_start: bytes = b""  # a line feed and what all the delimiters begin with
    empty_line: tuple[int, int] = (-2, -2)  # the next one, with the line end before it
    parts: int = 0
    inner_parts: int = 0

    def scan(self) -> Entity:
        root, position = self._enter(0, "text/plain", is_shown=True)
        while (line := self._next_delimiter(position)) >= 0:
            level, is_closing = self._match(line)
            self._leave(level + 1, self._end_before(line))
            multipart = self.path[level]
            position = self.octets.find(b"\n", line) + 1
            if not position:
                break  # a part would begin on the next line
            if is_closing:
                multipart.delimiter = None
                self._note_delimiters()
                continue
            multipart.has_parts = True
            if multipart.is_shown and self.parts >= MAX_PARTS:
                break
            if not multipart.is_shown and self.inner_parts >= _MAX_INNER_PARTS:
                self._look_outside()
                continue
            is_digest = multipart.entity.type == "multipart/digest"
            default_type = "message/rfc822" if is_digest else "text/plain"
            child, position = self._enter(position, default_type, multipart.is_shown)
            if multipart.is_shown and multipart.entity.children is not None:
                multipart.entity.children.append(child)
        self._leave(0, len(self.octets))
        return root

    # --- Beginnings -----------------------------------------------------------------------------

    def _enter(self, position: int, default_type: str, is_shown: bool) -> tuple[Entity, int]:
        """The entity whose header is at `position`, and where the next delimiter may be.

        A message that it contains is entered too.
        """
        opened, has_content = self._open(position, default_type, is_shown)
        first = opened.entity
        while has_content and len(self.path) <= MAX_DEPTH:
            if opened.entity.type not in contentfields.MESSAGE_TYPES:
                break
            opened, has_content = self._open(opened.entity.content, "text/plain", is_shown=False)
        return first, opened.entity.content

    def _open(self, position: int, default_type: str, is_shown: bool) -> tuple[_Open, bool]:
        """The entity whose header is at `position`, and whether a content follows the header."""
        content, has_content = self._end_of_header(position)
        if is_shown:
            self.parts += 1
        else:
            self.inner_parts += 1
        fields = _content_fields(self.octets[position:content])
        type_, pairs = _content_type(fields, default_type)
        entity = Entity(position, content, content, fields, type_, pairs, None)
        opened = _Open(entity, is_shown)
        self.path.append(opened)
        if type_.startswith("multipart/"):
            entity.children = []
            boundary = parameters.octets(pairs, b"boundary")
            if len(self.path) > MAX_DEPTH:
                opened.has_parts = True
            elif has_content and boundary is not None:
                opened.delimiter = b"--" + boundary.rstrip()
                self._note_delimiters()
        return opened, has_content

    def _end_of_header(self, position: int) -> tuple[int, bool]:
        """Where the header ends, and whether it does so with an empty line.

        A delimiter ends it too (RFC 2046 §5.1.1); the line end before belongs to that.
        """
        octets = self.octets
        if position == 0 and octets.startswith((b"\n", b"\r\n")):
            return octets.index(b"\n") + 1, True
        if self.empty_line[0] < position - 1:
            found = _EMPTY_LINE.search(octets, max(0, position - 1))
            self.empty_line = found.span() if found else (len(octets), len(octets))
        before, content = self.empty_line
        line = self._next_delimiter(position, before)
        if line >= 0:
            return max(position, self._end_before(line)), False
        return content, before < content

    # --- Delimiters -----------------------------------------------------------------------------

    def _note_delimiters(self) -> None:
        self.delimiters = tuple(o.delimiter for o in self.path if o.delimiter is not None)
        self.line_start = b"\n" + (self.delimiters[0] if len(self.delimiters) == 1 else b"--")

    def _look_outside(self) -> None:
        """Take no more notice of the delimiters in the attached message."""
        for opened in self.path:
            if not opened.is_shown:
                opened.delimiter = None
        self._note_delimiters()

    def _next_delimiter(self, position: int, end: int | None = None) -> int:
        """Where the first delimiter from `position` to `end` begins, -1 if there is none."""
        octets, delimiters, line_start = self.octets, self.delimiters, self.line_start
        if not delimiters:
            return -1
        line = octets.find(line_start, position - 1, end) + 1
        while line and not octets.startswith(delimiters, line):
            line = octets.find(line_start, line, end) + 1
        return line or -1

    def _match(self, line: int) -> tuple[int, bool]:
        """The level in `path` of the multipart that the delimiter is of, and whether it closes it.

        That `--a--` closes a multipart with the boundary `a` counts before that it begins with
        the boundary `a--` of an outer one.
        """
        end = self.octets.find(b"\n", line)
        text = self.octets[line : end if end >= 0 else None].removesuffix(b"\r")
        best, longest = 0, b""
        for level in reversed(range(len(self.path))):
            delimiter = self.path[level].delimiter
            if delimiter is None or not text.startswith(delimiter):
                continue
            if len(delimiter) > len(longest):
                best, longest = level, delimiter
                if text in (delimiter, delimiter + b"--"):
                    break
        return best, text.startswith(b"--", len(longest))

    # --- Ends -----------------------------------------------------------------------------------

    def _end_before(self, line: int) -> int:
        """Where the line end before `line` begins, which belongs to the delimiter."""
        return line - 2 if self.octets[line - 2 : line] == b"\r\n" else line - 1

    def _leave(self, level: int, end: int) -> None:
        """End the entities in `path` from `level` on.

        The empty line that ends a header is the line end before a delimiter that follows it.
        """
        for left in self.path[level:]:
            entity = left.entity
            entity.content = max(entity.header, min(entity.content, end))
            entity.end = max(entity.content, end)
            if entity.children is not None and not left.has_parts:
                entity.type, entity.children = "text/plain", None
        if len(self.path) > level:
            del self.path[level:]
            self._note_delimiters()


def _content_fields(header: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for match in _FIELD.finditer(b"\n" + header):
        value = match[2][:MAX_VALUE_OCTETS].removesuffix(b"\r")
        fields.setdefault(match[1].lower(), value)
    return fields


def _content_type(fields: Mapping[bytes, bytes], default_type: str) -> tuple[str, Sequence[bytes]]:
    """RFC 2045 §5.2: what is not given, or not a type, is plain text."""
    value = fields.get(b"type")
    if value is None:
        return default_type, ()
    token, pairs = parameters.split(value)
    return contentfields.media_type(token) or "text/plain", pairs
