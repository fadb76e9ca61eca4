"""RFC 9051 as servers have it: each known departure is cited by a test."""

from __future__ import annotations

import pytest

from tests.quirks.rows import citations, cited_rows, known_rows


def test_rows_are_numbered_one_after_the_other() -> None:
    assert known_rows() == [*range(1, 64)]


def test_every_row_is_cited_by_a_test() -> None:
    cited = cited_rows()
    assert [row for row in known_rows() if row not in cited] == []


def test_every_cited_row_exists() -> None:
    known = set(known_rows())
    assert {row: places for row, places in cited_rows().items() if row not in known} == {}


def test_marks_are_found_wherever_they_stand() -> None:
    source = """
import pytest
pytestmark = pytest.mark.quirk(1)
@pytest.mark.quirk(2, 3)
@pytest.mark.parametrize("a", [pytest.param(1, marks=pytest.mark.quirk(4))])
def test(a): ...
"""
    assert list(citations(source)) == [(1, 3), (2, 4), (3, 4), (4, 5)]


@pytest.mark.parametrize("arguments", ["", "ROW", '"1"', "True"])
def test_a_mark_that_cites_nothing_readable_is_refused(arguments: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        list(citations(f"pytest.mark.quirk({arguments})"))
