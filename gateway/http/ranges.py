"""RFC 9110 §14: requests for a range of the octets."""

from __future__ import annotations

import re
from dataclasses import dataclass

# The limit is that of what int() takes at once.
_RANGE = re.compile(r"([0-9]{0,4000})-([0-9]{0,4000})")


class Unsatisfiable(Exception):
    """RFC 9110 §15.5.17: the range has none of the octets."""


@dataclass(frozen=True, slots=True)
class Range:
    """RFC 9110 §14.1.2: from octet `first` to `last`, or the last `last` ones if there is no first.

    last: None for the end.
    """

    first: int | None
    last: int | None

    @property
    def is_all(self) -> bool:
        """Whether this is everything, however much that is."""
        return self.first == 0 and self.last is None

    def resolve(self, size: int) -> tuple[int, int]:
        """The octets [start, stop) of so many. Raises Unsatisfiable."""
        start = max(0, size - (self.last or 0)) if self.first is None else self.first
        if start >= size:
            raise Unsatisfiable
        stop = size if self.first is None or self.last is None else min(size, self.last + 1)
        return start, stop


def parse(header: str | None) -> Range | None:
    """The one range that a Range field asks for.

    None where all octets are the answer: other units, a field that is not valid (§14.2), and
    several ranges, which nobody has to send apart.
    """
    unit, _, given = (header or "").partition("=")
    specs = [spec for each in given.split(",") if (spec := each.strip(" \t"))]
    if unit.strip(" \t").lower() != "bytes" or len(specs) != 1:
        return None
    match = _RANGE.fullmatch(specs[0])
    if match is None or not (match[1] or match[2]):
        return None
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is not None and last is not None and last < first:
        return None
    return Range(first, last)
