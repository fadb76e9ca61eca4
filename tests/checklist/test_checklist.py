"""A requirement counts as done only while a test cites it."""

from __future__ import annotations

from tests.checklist.citations import cited_ids, declared_ids, known_ids


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
