"""RFC 9051 as servers have it: each known departure is cited by a test."""

from __future__ import annotations

from tests.quirks.rows import cited_rows, known_rows


def test_rows_are_numbered_one_after_the_other() -> None:
    assert known_rows() == [*range(1, 64)]


def test_every_row_is_cited_by_a_test() -> None:
    cited = cited_rows()
    assert [row for row in known_rows() if row not in cited] == []


def test_every_cited_row_exists() -> None:
    known = set(known_rows())
    assert {row: places for row, places in cited_rows().items() if row not in known} == {}
