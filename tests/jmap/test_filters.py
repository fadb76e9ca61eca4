"""RFC 8620 §5.5: the filter argument of /query."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jmap.errors import MethodError
from gateway.jmap.filters import Filter, FilterCondition, FilterOperator, parse
from gateway.jmap.limits import Limits
from tests.jmap.foos import FOO


def parsed(value: Any, **limits: int) -> Filter | None:
    assert FOO.query is not None
    return parse(value, FOO.query, Limits(**limits))


def error_type(value: Any, **limits: int) -> str:
    with pytest.raises(MethodError) as caught:
        parsed(value, **limits)
    assert caught.value.description
    return caught.value.type


@pytest.mark.checklist("H01")
def test_filter_becomes_a_tree() -> None:
    assert parsed(
        {
            "operator": "AND",
            "conditions": [
                {"name": "a", "minSize": 1},
                {"operator": "NOT", "conditions": [{"parent": None}]},
                {"operator": "OR", "conditions": []},
            ],
        }
    ) == FilterOperator(
        "AND",
        (
            FilterCondition({"name": "a", "minSize": 1}),
            FilterOperator("NOT", (FilterCondition({"parent": None}),)),
            FilterOperator("OR", ()),
        ),
    )


@pytest.mark.checklist("H01")
def test_no_filter_and_an_empty_condition_are_allowed() -> None:
    assert parsed(None) is None
    assert parsed({}) == FilterCondition({})


@pytest.mark.checklist("H02")
@pytest.mark.parametrize(
    "value",
    [
        {"operator": "XOR", "conditions": []},
        {"operator": "and", "conditions": []},
        {"operator": None, "conditions": []},
        {"operator": ["AND"], "conditions": []},
        {"operator": "name", "name": "a"},
        {"operator": "AND"},
        {"operator": "AND", "conditions": None},
        {"operator": "AND", "conditions": {}},
        {"operator": "AND", "conditions": [None]},
        {"operator": "AND", "conditions": [[]]},
        {"operator": "AND", "conditions": [], "name": "a"},
        {"name": 1},
        {"name": None},
        {"minSize": -1},
        {"minSize": "1"},
        {"operator": "NOT", "conditions": [{"minSize": 1.5}]},
    ],
)
def test_what_is_no_filter_is_invalid(value: Any) -> None:
    assert error_type(value) == "invalidArguments"


@pytest.mark.checklist("H02")
@pytest.mark.parametrize(
    "value",
    [
        {"colour": "red"},
        {"name": "a", "colour": None},
        {"operator": "OR", "conditions": [{"name": "a"}, {"colour": "red"}]},
    ],
)
def test_condition_the_type_does_not_have_is_unsupported(value: Any) -> None:
    assert error_type(value) == "unsupportedFilter"


@pytest.mark.threat("R19")
@pytest.mark.checklist("A15")
def test_number_of_nodes_is_bounded() -> None:
    value = {"operator": "OR", "conditions": [{"name": "a"}] * 4}
    assert parsed(value, max_filter_nodes=5)
    assert error_type(value, max_filter_nodes=4) == "unsupportedFilter"


@pytest.mark.threat("R19")
@pytest.mark.checklist("A15")
def test_depth_is_bounded() -> None:
    value: dict[str, Any] = {"name": "a"}
    for _ in range(2):
        value = {"operator": "NOT", "conditions": [value]}
    assert parsed(value, max_filter_depth=3)
    assert error_type(value, max_filter_depth=2) == "unsupportedFilter"


json_values = st.recursive(
    st.none() | st.integers() | st.sampled_from(["AND", "NOT", "a"]),
    lambda items: (
        st.lists(items, max_size=3)
        | st.dictionaries(
            st.sampled_from(["operator", "conditions", "name", "minSize", "x"]), items, max_size=3
        )
    ),
)


@given(st.dictionaries(st.sampled_from(["operator", "conditions", "name", "x"]), json_values))
def test_any_object_is_a_filter_or_a_method_error(value: dict[str, Any]) -> None:
    outcome = "parsed"
    try:
        parsed(value, max_filter_nodes=3, max_filter_depth=2)
    except MethodError as error:
        outcome = error.type
    assert outcome in {"parsed", "invalidArguments", "unsupportedFilter"}
