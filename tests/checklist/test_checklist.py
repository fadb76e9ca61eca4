"""A requirement counts as done only while a test cites it."""

from __future__ import annotations

import pytest

from tests.checklist.citations import citations, cited_ids, declared_ids, known_ids


def test_checklist_has_each_id_once() -> None:
    ids = known_ids()
    assert len(ids) > 200
    assert len(ids) == len(set(ids))


def test_every_line_declared_done_is_cited_by_a_test() -> None:
    cited = cited_ids()
    assert [name for name in declared_ids() if name not in cited] == []


def test_every_cited_line_exists() -> None:
    known = set(known_ids())
    assert {name: places for name, places in cited_ids().items() if name not in known} == {}


def test_lines_declared_done_exist_and_are_declared_once() -> None:
    known, declared = set(known_ids()), declared_ids()
    assert [name for name in declared if name not in known] == []
    assert len(declared) == len(set(declared))


def test_marks_are_found_wherever_they_stand() -> None:
    source = """
import pytest
pytestmark = pytest.mark.checklist("Y01")
@pytest.mark.checklist("Y02", "Y03")
@pytest.mark.parametrize("a", [pytest.param(1, marks=pytest.mark.checklist("Y04"))])
def test(a): ...
"""
    assert list(citations(source)) == [("Y01", 3), ("Y02", 4), ("Y03", 4), ("Y04", 5)]


@pytest.mark.parametrize("arguments", ["", "NAME", "1"])
def test_mark_that_cites_nothing_readable_is_refused(arguments: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        list(citations(f"pytest.mark.checklist({arguments})"))
