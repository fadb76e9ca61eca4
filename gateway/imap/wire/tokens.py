"""RFC 9051 §4: the data of one response as nested lists.

A value is `bytes` (an atom, a number, a quoted string without its quotes and escapes, a literal),
None (the atom NIL) or a list of values.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from gateway.imap.errors import ProtocolError
from gateway.imap.wire.framer import Frame, Framer

Value: TypeAlias = "bytes | list[Value] | None"
Span: TypeAlias = tuple[int, int]
_Piece: TypeAlias = tuple[int, int, Span | None]

MAX_DEPTH = 512
"""Messages nest a hundred deep and more when somebody means ill, and are still to be listed."""

MAX_VALUES = 300_000
"""Values of one response, about: each takes many times the octets it is sent with."""

# A string ends at a quote that something may follow: Exchange and others do not escape the rest.
_QUOTED = rb'"[^"\\]*+(?:"(?=[] ()])|(?>(?:(?:\\.|"(?![] ()]|\Z))[^"\\]*+)*)")'
# A FETCH item's name with its section and origin: BODY[HEADER.FIELDS ("To")]<0>
_SECTION = (
    rb"(?:BODY|BINARY|BINARY\.SIZE)\[[^] ()\"\r\n]*+ *+"
    rb'(?>(?:\((?>(?:[^()"\r\n]++|"[^"\\]*+(?>(?:\\.[^"\\]*+)*)")*)\) *+)?)\](?>(?:<\d++>)?)'
)
# Exchange leaves names of mailboxes with tabs unquoted, so only what ends an atom ends it here. A
# quote on its own opens a string that does not end. Possessive repeats of groups match too much in
# Python before 3.11.5, hence (?>(?:...)*) for them.
_TOKEN = re.compile(
    rb"[()]|" + _QUOTED + rb"|" + _SECTION + rb'|[^ ()"\r\n\x00]++|"', re.IGNORECASE | re.DOTALL
)
_NOISE = re.compile(rb"[^ ]")
_ESCAPED = re.compile(rb'\\(["\\])')  # other pairs come from servers that escape nothing
_ANNOUNCEMENT = re.compile(rb"~?\{\d++\+?\}\r\n\Z")


def tokenize(frame: Frame, start: int = 0, spans: list[Span] | None = None) -> list[Value]:
    """The values of a response from octet `start` on.

    With `spans`, the place of each value inside the first list is noted there, as (start, end) in
    `frame.octets`: FETCH rows are one list, and some of their values are wanted as they came.
    Raises ProtocolError on unbalanced parentheses, an open quote, nesting over MAX_DEPTH, and over
    MAX_VALUES values.
    """
    octets = frame.octets
    tree = _Tree(spans)
    pieces = _pieces(frame, start)
    if len(octets) - start > MAX_VALUES:
        _count(octets, pieces)
    for piece_start, piece_end, literal in pieces:
        last = piece_start
        for match in _TOKEN.finditer(octets, piece_start, piece_end):
            begin, end = match.span()
            if begin != last and (begin - last > 1 or octets[last] != 32):
                _only_spaces(octets, last, begin)
            last = end
            token = match[0]
            first = token[0]
            if first == 40:  # (
                tree.open(begin)
            elif first == 41:  # )
                tree.close(end)
            elif first == 34:  # "
                if end - begin == 1:
                    raise ProtocolError("a response has a string without an end")
                text = token[1:-1]
                tree.add(_ESCAPED.sub(rb"\1", text) if b"\\" in text else text, begin, end)
            else:
                is_nil = len(token) == 3 and token.upper() == b"NIL"
                tree.add(None if is_nil else token, begin, end)
        _only_spaces(octets, last, piece_end)
        if literal is not None:
            begin, length = literal
            tree.add(octets[begin : begin + length], piece_end, begin + length)
    return tree.values()


class _Tree:
    """Nested lists while they grow."""

    __slots__ = ("_current", "_opened", "_spans", "_stack")

    def __init__(self, spans: list[Span] | None) -> None:
        self._spans = spans
        self._stack: list[list[Value]] = []
        self._current: list[Value] = []
        self._opened = 0

    def add(self, value: bytes | None, begin: int, end: int) -> None:
        self._current.append(value)
        if self._spans is not None and len(self._stack) == 1:
            self._spans.append((begin, end))

    def open(self, begin: int) -> None:
        if len(self._stack) == MAX_DEPTH:
            raise ProtocolError(f"a response is nested over {MAX_DEPTH} deep")
        if len(self._stack) == 1:
            self._opened = begin
        inner: list[Value] = []
        self._current.append(inner)
        self._stack.append(self._current)
        self._current = inner

    def close(self, end: int) -> None:
        if not self._stack:
            raise ProtocolError("a response has a ) too many")
        self._current = self._stack.pop()
        if self._spans is not None and len(self._stack) == 1:
            self._spans.append((self._opened, end))

    def values(self) -> list[Value]:
        if self._stack:
            raise ProtocolError("a response has a ( too many")
        return self._current


def _only_spaces(octets: bytes, start: int, end: int) -> None:
    if _NOISE.search(octets, start, end):
        raise ProtocolError(f"unexpected octets in a response: {octets[start : start + 20]!r}")


def parse(raw: bytes) -> Value:
    """One value from its octets as they came from a server, literals included."""
    frames = Framer(max_literal=len(raw)).feed(b"* " + raw + b"\r\n")
    values = tokenize(frames[0], 2) if len(frames) == 1 else []
    if len(values) != 1:
        raise ProtocolError(f"not one value: {raw[:40]!r}")
    return values[0]


def _count(octets: bytes, pieces: list[_Piece]) -> None:
    """A value begins or ends with one of these, or is the last."""
    marks = (octets.count(mark, start, end) for start, end, _ in pieces for mark in b' ()"')
    if sum(marks) > MAX_VALUES:
        raise ProtocolError(f"a response has over {MAX_VALUES} values")


def _pieces(frame: Frame, start: int) -> list[_Piece]:
    """The parts of a response between its literals, each with the literal that follows it."""
    octets, literals = frame
    pieces: list[_Piece] = []
    for literal in literals:
        begin = literal[0]
        if begin <= start:
            continue
        announced = _ANNOUNCEMENT.search(octets, max(start, begin - 20), begin)
        if announced is None:
            raise ProtocolError("a literal without its announcement")
        pieces.append((start, announced.start(), literal))
        start = begin + literal[1]
    pieces.append((start, len(octets), None))
    return pieces
