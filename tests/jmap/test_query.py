"""RFC 8620 §5.5: Foo/query."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jmap.errors import MethodError
from gateway.jmap.filters import FilterCondition
from gateway.jmap.limits import Limits
from gateway.jmap.methods.query import query, window
from gateway.jmap.spec import Comparator, DataType
from tests.jmap.foos import FOO, Foos, Listed, under


async def queried(
    arguments: dict[str, Any], account: Foos | None = None, data_type: DataType = FOO, **limits: int
) -> dict[str, Any]:
    arguments = {"accountId": "A1"} | arguments
    return await query(data_type, account or Foos.of(5), arguments, under(Limits(**limits)))


async def refused(
    arguments: dict[str, Any], data_type: DataType = FOO, account: Foos | None = None
) -> str:
    with pytest.raises(MethodError) as caught:
        await queried(arguments, account, data_type)
    return caught.value.type


ALL = ["f0", "f1", "f2", "f3", "f4"]


@pytest.mark.checklist("C09", "H14")
async def test_left_out_arguments_are_their_defaults() -> None:
    account = Foos.of(5)
    explicit: dict[str, Any] = {
        "filter": None,
        "sort": None,
        "position": 0,
        "anchor": None,
        "anchorOffset": 0,
        "limit": None,
        "calculateTotal": False,
        "collapse": False,
    }
    for arguments in ({}, explicit):
        assert await queried(arguments, account) == {
            "accountId": "A1",
            "queryState": "q1",
            "canCalculateChanges": True,
            "position": 0,
            "ids": ALL,
            "limit": 10_000,
        }
    request, same = account.queries
    assert request == same
    assert (request.filter, request.sort, request.arguments) == (None, (), {"collapse": False})


async def test_type_is_given_the_checked_filter_sort_and_arguments() -> None:
    account = Foos()
    await queried(
        {"filter": {"name": "a"}, "sort": [{"property": "size"}], "collapse": True}, account
    )
    request = account.queries[0]
    assert request.filter == FilterCondition({"name": "a"})
    assert request.sort == (Comparator("size", True, "i;unicode-casemap", {}),)
    assert request.arguments == {"collapse": True}


WINDOWS: list[tuple[dict[str, Any], int, list[str]]] = [
    ({"position": 2}, 2, ["f2", "f3", "f4"]),
    ({"position": 5}, 5, []),
    ({"position": 2**53 - 1}, 2**53 - 1, []),
    ({"position": -2}, 3, ["f3", "f4"]),
    ({"position": -9}, 0, ALL),
    ({"limit": 2}, 0, ["f0", "f1"]),
    ({"limit": 0}, 0, []),
    ({"position": -3, "limit": 1}, 2, ["f2"]),
    ({"anchor": "f2"}, 2, ["f2", "f3", "f4"]),
    ({"anchor": "f2", "anchorOffset": -1, "limit": 2}, 1, ["f1", "f2"]),
    ({"anchor": "f2", "anchorOffset": 1}, 3, ["f3", "f4"]),
    ({"anchor": "f2", "anchorOffset": -9}, 0, ALL),
    ({"anchor": "f2", "anchorOffset": 9}, 11, []),
    ({"anchor": "f2", "position": -1}, 2, ["f2", "f3", "f4"]),
    ({"anchor": "f2", "limit": 0}, 2, []),
    ({"anchorOffset": 3}, 0, ALL),
    ({"anchorOffset": -1, "position": 4}, 4, ["f4"]),
]


@pytest.mark.checklist("H07", "H08", "H09", "H10", "H12")
@pytest.mark.parametrize(("arguments", "position", "ids"), WINDOWS)
async def test_window(arguments: dict[str, Any], position: int, ids: list[str]) -> None:
    response = await queried(arguments)
    assert (response["position"], response["ids"]) == (position, ids)


@pytest.mark.checklist("H08")
@pytest.mark.parametrize("anchor", ["f5", "", "no id!"])
async def test_anchor_that_is_not_among_the_results_is_an_error(anchor: str) -> None:
    assert await refused({"anchor": anchor}) == "anchorNotFound"
    assert await refused({"anchor": anchor, "limit": 0}) == "anchorNotFound"


@pytest.mark.checklist("H10")
@pytest.mark.parametrize(
    ("limit", "ids", "reported"), [(1, 1, None), (2, 2, None), (3, 2, 2), (None, 2, 2)]
)
async def test_limit_of_the_server_is_reported(
    limit: int | None, ids: int, reported: int | None
) -> None:
    response = await queried({"limit": limit}, max_query_limit=2)
    assert len(response["ids"]) == ids
    assert response.get("limit") == reported
    assert ("limit" in response) is (reported is not None)


@pytest.mark.checklist("H11")
@pytest.mark.parametrize("window", [{}, {"limit": 0}, {"position": -1}, {"anchor": "f1"}])
async def test_total_is_given_when_asked_for_only(window: dict[str, Any]) -> None:
    assert (await queried(window | {"calculateTotal": True}))["total"] == 5
    assert "total" not in await queried(window)


@pytest.mark.checklist("H13")
async def test_query_state_is_that_of_the_ids_even_if_they_were_waited_for() -> None:
    class Late(Listed):
        async def slice(self, start: int, stop: int | None) -> list[str]:
            self.query_state = "q2"
            return await super().slice(start, stop)

    async def run(_account: Any, _request: Any) -> Listed:
        return Late(ALL)

    assert FOO.query is not None
    response = await queried({}, data_type=replace(FOO, query=replace(FOO.query, run=run)))
    assert response["queryState"] == "q2"


@pytest.mark.checklist("H14")
async def test_can_calculate_changes_is_what_the_results_say() -> None:
    async def run(_account: Any, _request: Any) -> Listed:
        return Listed([], "q2", can_calculate_changes=False)

    assert FOO.query is not None
    fixed = replace(FOO, query=replace(FOO.query, run=run))
    response = await queried({}, data_type=fixed)
    assert (response["queryState"], response["canCalculateChanges"]) == ("q2", False)


@pytest.mark.checklist("H14")
async def test_changes_can_not_be_calculated_without_the_method_for_them() -> None:
    assert FOO.query is not None
    without = replace(FOO, query=replace(FOO.query, changes=None))
    assert (await queried({}, data_type=without))["canCalculateChanges"] is False
    assert (await queried({}))["canCalculateChanges"] is True


@pytest.mark.checklist("H10", "C20")
@pytest.mark.parametrize(
    "arguments",
    [
        {"limit": -1},
        {"limit": "1"},
        {"limit": 1.0},
        {"position": None},
        {"position": 0.5},
        {"position": 2**53},
        {"anchor": 1},
        {"anchorOffset": None},
        {"calculateTotal": None},
        {"calculateTotal": "true"},
        {"filter": []},
        {"filter": "name"},
        {"filter": {"name": 1}},
        {"sort": {}},
        {"sort": "size"},
        {"sort": ["size"]},
        {"sort": [None]},
        {"sort": [{}]},
        {"collapse": None},
        {"colour": 1},
        {"accountId": 1},
    ],
)
async def test_bad_argument_is_invalid_and_nothing_is_run(arguments: dict[str, Any]) -> None:
    account = Foos()
    assert await refused(arguments, account=account) == "invalidArguments"
    assert account.queries == []


@pytest.mark.checklist("H02", "H06")
async def test_unsupported_filter_and_sort_are_told_apart() -> None:
    assert await refused({"filter": {"colour": 1}}) == "unsupportedFilter"
    assert await refused({"sort": [{"property": "colour"}]}) == "unsupportedSort"


async def test_type_without_query_has_no_such_method() -> None:
    assert await refused({}, replace(FOO, query=None)) == "unknownMethod"


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ({}, ["slice"]),
        ({"limit": 0}, []),
        ({"limit": 0, "calculateTotal": True}, ["total"]),
        ({"position": -1, "calculateTotal": True}, ["total", "slice"]),
        ({"anchor": "f1", "position": -1}, ["index", "slice"]),
    ],
)
async def test_results_are_asked_for_what_is_needed_only(
    arguments: dict[str, Any], asked: list[str]
) -> None:
    results = Listed(ALL)
    await window(results, DEFAULTS | arguments, 10)
    assert results.asked == asked


DEFAULTS: dict[str, Any] = {
    "position": 0,
    "anchor": None,
    "anchorOffset": 0,
    "limit": None,
    "calculateTotal": False,
}


def expected_start(ids: list[str], wanted: dict[str, Any]) -> int | None:
    """The words of RFC 8620 §5.5, one after the other; None for anchorNotFound."""
    position: int = wanted["position"]
    anchor: str | None = wanted["anchor"]
    offset: int = wanted["anchorOffset"]
    if anchor is not None:
        return max(ids.index(anchor) + offset, 0) if anchor in ids else None
    return position if position >= 0 else max(len(ids) + position, 0)


near = st.integers(-8, 8)


@pytest.mark.checklist("H07", "H08", "H09", "H10", "H11", "H12")
@given(
    st.integers(0, 6),
    st.fixed_dictionaries(
        {
            "position": near,
            "anchor": st.none() | st.integers(0, 7).map("f{}".format),
            "anchorOffset": near,
            "limit": st.none() | st.integers(0, 8),
            "calculateTotal": st.booleans(),
        }
    ),
    st.integers(1, 8),
)
async def test_any_window_is_what_the_rfc_says(
    size: int, wanted: dict[str, Any], max_limit: int
) -> None:
    ids = [f"f{n}" for n in range(size)]
    start = expected_start(ids, wanted)
    if start is None:
        with pytest.raises(MethodError, match="anchorNotFound"):
            await window(Listed(ids), wanted, max_limit)
        return
    limits = [max_limit] if wanted["limit"] is None else [wanted["limit"], max_limit]
    expected: dict[str, Any] = {"position": start, "ids": ids[start:][: min(limits)]}
    if wanted["calculateTotal"]:
        expected["total"] = size
    if min(limits) != wanted["limit"]:
        expected["limit"] = max_limit
    assert await window(Listed(ids), wanted, max_limit) == expected
