"""RFC 9051 §9 sequence-set, as a server sends it in ESEARCH, VANISHED and COPYUID."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from gateway.imap.errors import ProtocolError
from gateway.imap.wire.encode import MAX_UID

Range: TypeAlias = tuple[int, int]

MAX_NUMBERS = 5_000_000
"""UIDs that a set in an answer may stand for."""

_PART = re.compile(rb"(\d{1,10}|\*)(?::(\d{1,10}|\*))?\Z")


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
    numbers: list[int] = []
    for first, last in _parts(octets):
        step = 1 if first <= last else -1
        if len(numbers) + abs(last - first) >= MAX_NUMBERS:
            raise ProtocolError(f"a set of over {MAX_NUMBERS} numbers")
        numbers.extend(range(first, last + step, step))
    return numbers


def _parts(octets: bytes) -> Iterator[Range]:
    for part in octets.split(b","):
        match = _PART.match(part)
        if match is None:
            raise ProtocolError(f"not a sequence set: {octets[:40]!r}")
        first = MAX_UID if match[1] == b"*" else int(match[1])
        last = first if match[2] is None else MAX_UID if match[2] == b"*" else int(match[2])
        yield first, last
