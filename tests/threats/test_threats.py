"""RFC 8620 §8: each threat of the list has tests, which its mark names."""

from __future__ import annotations

from tests import marks
from tests.marks import TESTS

OPEN: set[str] = set()
"""Those that have none yet."""


def known() -> list[str]:
    """The ids of the list, in its order."""
    rows = (TESTS / "threats" / "threats.tsv").read_text().splitlines()[1:]
    return [row.split("\t")[0] for row in rows]


def test_every_threat_is_in_the_list_once() -> None:
    assert known() == [f"R{number}" for number in range(1, 34)]


def test_every_threat_has_a_test_unless_it_is_said_to_have_none() -> None:
    assert set(known()) - set(marks.cited("threat", str)) == OPEN


def test_every_mark_is_about_a_threat_of_the_list() -> None:
    assert set(marks.cited("threat", str)) <= set(known())
