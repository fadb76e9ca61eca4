"""Reads the rows of `tests/data/quirks.tsv` and the marks in the tests' source."""

from __future__ import annotations

from tests import marks
from tests.marks import TESTS

QUIRKS = TESTS / "data" / "quirks.tsv"


def known_rows() -> list[int]:
    """Return the numbers of all rows, in their order."""
    return [int(line.partition("\t")[0]) for line in QUIRKS.read_text().splitlines()[1:]]


def cited_rows() -> dict[int, set[str]]:
    """Return each row that a test cites with the places, as `quirks/test_lists.py:12`."""
    return marks.cited("quirk", int)
