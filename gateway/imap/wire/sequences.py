"""RFC 9051 §9 sequence-set, as a server sends it in ESEARCH, VANISHED and COPYUID."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from gateway.imap.errors import ProtocolError
from gateway.imap.wire.encode import MAX_UID

Range: TypeAlias = tuple[int, int]

MAX_NUMBERS = 2_000_000
"""UIDs that a set in an answer may stand for."""

_PART = re.compile(rb"(\d{1,10}+|\*)(?::(\d{1,10}+|\*))?(?:,(?!\Z)|\Z)")


def parse_ranges(octets: bytes) -> list[Range]:
    """(first, last) for each part, ascending and apart; `*` is the greatest UID there can be.

    Raises ProtocolError when it is no sequence set.
    """
    ranges = sorted((min(part), max(part)) for part in _parts(octets))
    merged: list[Range] = []
    for first, last in ranges:
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def parse_numbers(octets: bytes) -> list[int]:
    """Every number in the order given, for results in which order means something.

    Raises ProtocolError when it is no sequence set, or stands for over MAX_NUMBERS numbers.
    """
    return [number for span in parse_spans(octets) for number in span]


def parse_spans(octets: bytes) -> list[range]:
    """The same, without writing the numbers out."""
    spans: list[range] = []
    count = 0
    for first, last in _parts(octets):
        step = 1 if first <= last else -1
        spans.append(range(first, last + step, step))
        count += len(spans[-1])
        if count > MAX_NUMBERS:
            raise ProtocolError(f"a set of over {MAX_NUMBERS} numbers")
    return spans


def _parts(octets: bytes) -> Iterator[Range]:
    position = 0
    while position < len(octets) or not octets:
        match = _PART.match(octets, position)
        if match is None:
            raise ProtocolError(f"not a sequence set: {octets[:40]!r}")
        position = match.end()
        first = MAX_UID if match[1] == b"*" else int(match[1])
        last = first if match[2] is None else MAX_UID if match[2] == b"*" else int(match[2])
        if not (0 < first <= MAX_UID and 0 < last <= MAX_UID):
            raise ProtocolError(f"a set has numbers that are no UIDs: {match[0][:40]!r}")
        yield first, last
