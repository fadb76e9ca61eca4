"""What the checks of the checklist and of the quirks believe of the tests."""

from __future__ import annotations

import pytest

from tests.marks import citations


def test_marks_are_found_wherever_they_stand() -> None:
    source = """
import pytest
pytestmark = pytest.mark.quirk(1)
@pytest.mark.quirk(2, 3)
@pytest.mark.other(5)
@pytest.mark.parametrize("a", [pytest.param(1, marks=pytest.mark.quirk(4))])
def test(a): ...
"""
    assert list(citations(source, "quirk", int)) == [(1, 3), (2, 4), (3, 4), (4, 6)]
    words = source.replace("quirk(1)", 'checklist("Y01")')
    assert list(citations(words, "checklist", str)) == [("Y01", 3)]


@pytest.mark.parametrize("arguments", ["", "ROW", '"1"', "True"])
def test_a_mark_that_cites_no_number_is_refused(arguments: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        list(citations(f"pytest.mark.quirk({arguments})", "quirk", int))


@pytest.mark.parametrize("arguments", ["", "NAME", "1"])
def test_a_mark_that_cites_no_id_is_refused(arguments: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        list(citations(f"pytest.mark.checklist({arguments})", "checklist", str))
