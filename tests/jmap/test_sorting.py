"""RFC 8620 §5.5: the sort argument of /query."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.jmap.errors import MethodError
from gateway.jmap.limits import Limits
from gateway.jmap.sorting import parse
from gateway.jmap.spec import Comparator
from tests.jmap.foos import FOO


def parsed(value: Any, **limits: int) -> tuple[Comparator, ...]:
    assert FOO.query is not None
    return parse(value, FOO.query, Limits(**limits))


def error_type(value: Any, **limits: int) -> str:
    with pytest.raises(MethodError) as caught:
        parsed(value, **limits)
    assert caught.value.description
    return caught.value.type


def test_no_sort_is_no_comparators() -> None:
    assert parsed(None) == parsed([]) == ()


@pytest.mark.checklist("H04", "H05")
def test_comparators_have_their_defaults() -> None:
    assert parsed(
        [
            {"property": "size"},
            {"property": "size", "isAscending": False, "collation": "i;ascii-casemap"},
            {"property": "tagged", "tag": "$x"},
        ]
    ) == (
        Comparator("size", True, "i;unicode-casemap", {}),
        Comparator("size", False, "i;ascii-casemap", {}),
        Comparator("tagged", True, "i;unicode-casemap", {"tag": "$x"}),
    )


@pytest.mark.checklist("H06")
@pytest.mark.parametrize(
    "comparator",
    [
        {"property": "colour"},
        {"property": ""},
        {"property": "size", "collation": "i;octet"},
        {"property": "size", "collation": ""},
    ],
)
def test_unknown_property_or_collation_is_unsupported(comparator: dict[str, Any]) -> None:
    assert error_type([comparator]) == "unsupportedSort"


@pytest.mark.checklist("C20")
@pytest.mark.parametrize(
    "comparator",
    [
        {},
        {"isAscending": True},
        {"property": None},
        {"property": ["size"]},
        {"property": "size", "isAscending": None},
        {"property": "size", "isAscending": "true"},
        {"property": "size", "collation": None},
        {"property": "size", "collation": 1},
        {"property": "tagged"},
        {"property": "tagged", "tag": None},
    ],
)
def test_what_is_no_comparator_is_invalid(comparator: dict[str, Any]) -> None:
    assert error_type([comparator]) == "invalidArguments"


def test_further_members_are_passed_over() -> None:
    """RFC 8620 §5.5; jmapc sends position, anchorOffset and calculateTotal in each Comparator."""
    sent = {"property": "tagged", "tag": "$x", "position": 0, "calculateTotal": False}
    assert parsed([sent]) == (Comparator("tagged", True, "i;unicode-casemap", {"tag": "$x"}),)


@pytest.mark.checklist("A15")
def test_number_of_comparators_is_bounded() -> None:
    assert len(parsed([{"property": "size"}] * 2, max_sort_comparators=2)) == 2
    assert error_type([{"property": "size"}] * 3, max_sort_comparators=2) == "unsupportedSort"
