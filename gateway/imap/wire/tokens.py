"""RFC 9051 §4: the data of one response as nested lists.

A value is `bytes` (an atom, a number, a quoted string without its quotes and escapes, a literal),
None (the atom NIL) or a list of values.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from gateway.imap.errors import ProtocolError
from gateway.imap.wire.framer import Frame, Framer

Value: TypeAlias = "bytes | None | list[Value]"
Span: TypeAlias = tuple[int, int]

MAX_DEPTH = 64

_TOKEN = re.compile(
    rb"[()]"
    rb'|"[^"\\]*+(?:\\.[^"\\]*+)*+"'
    # a FETCH item's name with its section and origin: BODY[HEADER.FIELDS ("To")]<0>
    rb'|(?:BODY|BINARY|BINARY\.SIZE)\[(?:[^]"\r\n]|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+\](?:<\d+>)?+'
    rb'|[^\s()"\x00]++',
    re.IGNORECASE | re.DOTALL,
)
_NOISE = re.compile(rb"[^ ]")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_ANNOUNCEMENT = re.compile(rb"~?\{\d+\+?\}\r\n\Z")


def tokenize(frame: Frame, start: int = 0, spans: list[Span] | None = None) -> list[Value]:
    """The values of a response from octet `start` on.

    With `spans`, the place of each value inside the first list is noted there, as (start, end) in
    `frame.octets`: FETCH rows are one list, and some of their values are wanted as they came.
    Raises ProtocolError on unbalanced parentheses, an open quote or nesting over MAX_DEPTH.
    """
    octets, literals = frame
    values: list[Value] = []
    stack: list[list[Value]] = []
    current = values
    opened = 0
    for piece_start, piece_end, literal in _pieces(frame, start):
        last = piece_start
        for match in _TOKEN.finditer(octets, piece_start, piece_end):
            token = match[0]
            first = token[0]
            begin, end = match.span()
            if begin != last and (begin - last > 1 or octets[last] != 32):
                _only_spaces(octets, last, begin)
            last = end
            if first == 40:  # (
                if len(stack) == MAX_DEPTH:
                    raise ProtocolError(f"a response is nested over {MAX_DEPTH} deep")
                if len(stack) == 1:
                    opened = begin
                stack.append(current)
                inner: list[Value] = []
                current.append(inner)
                current = inner
                continue
            if first == 41:  # )
                if not stack:
                    raise ProtocolError("a response has a ) too many")
                current = stack.pop()
                if spans is not None and len(stack) == 1:
                    spans.append((opened, last))
                continue
            if first == 34:  # "
                token = token[1:-1]
                current.append(_ESCAPED.sub(rb"\1", token) if b"\\" in token else token)
            else:
                current.append(None if len(token) == 3 and token.upper() == b"NIL" else token)
            if spans is not None and len(stack) == 1:
                spans.append((begin, last))
        _only_spaces(octets, last, piece_end)
        if literal is not None:
            begin, length = literal
            current.append(octets[begin : begin + length])
            if spans is not None and len(stack) == 1:
                spans.append((piece_end, begin + length))
    if stack:
        raise ProtocolError("a response has a ( too many")
    return values


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


def _pieces(frame: Frame, start: int) -> list[tuple[int, int, tuple[int, int] | None]]:
    """The parts of a response between its literals, each with the literal that follows it."""
    octets, literals = frame
    pieces: list[tuple[int, int, tuple[int, int] | None]] = []
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
