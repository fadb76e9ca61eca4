"""RFC 8620 §5.6: Foo/queryChanges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.jmap.errors import DefectiveResult, MethodError
from gateway.jmap.filters import FilterCondition
from gateway.jmap.limits import Limits
from gateway.jmap.methods.query import query
from gateway.jmap.methods.query_changes import query_changes
from gateway.jmap.spec import Comparator, DataType, QueryChangesRequest, QueryChangesResult
from tests.jmap.foos import FOO, Foos, under

CHANGED = QueryChangesResult("q1", 5, ["f8", "f3"], [("f9", 0), ("f3", 4)])


async def requeried(
    arguments: dict[str, Any],
    result: QueryChangesResult = CHANGED,
    data_type: DataType = FOO,
    **limits: int,
) -> dict[str, Any]:
    arguments = {"accountId": "A1", "sinceQueryState": "q0"} | arguments
    return await query_changes(
        data_type, Foos(requeried=result), arguments, under(Limits(**limits))
    )


async def refused(
    arguments: dict[str, Any],
    result: QueryChangesResult = CHANGED,
    data_type: DataType = FOO,
    **limits: int,
) -> str:
    with pytest.raises(MethodError) as caught:
        await requeried(arguments, result, data_type, **limits)
    return caught.value.type


@pytest.mark.checklist("I02", "I07")
async def test_response_has_the_members_of_the_rfc() -> None:
    assert list((await requeried({})).items()) == [
        ("accountId", "A1"),
        ("oldQueryState", "q0"),
        ("newQueryState", "q1"),
        ("removed", ["f8", "f3"]),
        ("added", [{"id": "f9", "index": 0}, {"id": "f3", "index": 4}]),
    ]


@pytest.mark.checklist("I07")
async def test_nothing_changed_is_two_empty_arrays_and_the_same_state() -> None:
    assert await requeried({}, QueryChangesResult("q0", None, [], [])) == {
        "accountId": "A1",
        "oldQueryState": "q0",
        "newQueryState": "q0",
        "removed": [],
        "added": [],
    }


@pytest.mark.checklist("I06")
async def test_total_is_given_when_asked_for_only() -> None:
    assert (await requeried({"calculateTotal": True}))["total"] == 5
    assert "total" not in await requeried({"calculateTotal": False})
    assert "total" not in await requeried({})
    none_left = QueryChangesResult("q1", 0, ["f1"], [])
    assert (await requeried({"calculateTotal": True}, none_left))["total"] == 0


@pytest.mark.checklist("C09")
async def test_left_out_arguments_are_their_defaults() -> None:
    account = Foos()
    given = {"accountId": "A1", "sinceQueryState": "q0"}
    explicit = given | {
        "filter": None,
        "sort": None,
        "maxChanges": None,
        "upToId": None,
        "calculateTotal": False,
        "collapse": False,
    }
    for arguments in (given, explicit):
        await query_changes(FOO, account, arguments, under())
    request, same = account.syncs
    assert request == same
    assert isinstance(request, QueryChangesRequest)
    assert (request.max_changes, request.up_to_id, request.calculate_total) == (None, None, False)


async def test_type_is_given_the_query_as_it_was_made() -> None:
    account = Foos()
    asked: dict[str, Any] = {
        "accountId": "A1",
        "filter": {"name": "a"},
        "sort": [{"property": "size"}],
        "collapse": True,
    }
    await query(FOO, account, asked, under())
    since = {"sinceQueryState": "q0", "maxChanges": 0, "upToId": "f3"}
    await query_changes(FOO, account, asked | since, under())
    assert account.syncs == [QueryChangesRequest(account.queries[0], "q0", 0, "f3", False)]
    assert account.queries[0].filter == FilterCondition({"name": "a"})
    assert account.queries[0].sort == (Comparator("size", True, "i;unicode-casemap", {}),)
    assert account.queries[0].arguments == {"collapse": True}


@pytest.mark.checklist("C20")
@pytest.mark.parametrize(
    "arguments",
    [
        {"sinceQueryState": None},
        {"sinceQueryState": 1},
        {"maxChanges": -1},
        {"maxChanges": 1.5},
        {"maxChanges": "1"},
        {"upToId": 1},
        {"calculateTotal": None},
        {"filter": []},
        {"filter": {"name": 1}},
        {"filter": {"operator": "XOR", "conditions": []}},
        {"sort": {}},
        {"sort": [{}]},
        {"collapse": None},
        {"position": 0},
        {"limit": 1},
        {"sinceState": "q0"},
        {"accountId": 1},
    ],
)
async def test_bad_argument_is_invalid(arguments: dict[str, Any]) -> None:
    assert await refused(arguments) == "invalidArguments"


@pytest.mark.checklist("C09")
async def test_query_state_must_be_given() -> None:
    with pytest.raises(MethodError, match=r'invalidArguments: .*"sinceQueryState" is missing'):
        await query_changes(FOO, Foos(), {"accountId": "A1"}, under())


@pytest.mark.checklist("H02", "H06")
async def test_unsupported_filter_and_sort_are_told_apart() -> None:
    assert await refused({"filter": {"colour": 1}}) == "unsupportedFilter"
    assert await refused({"sort": [{"property": "colour"}]}) == "unsupportedSort"


@pytest.mark.checklist("I05")
@pytest.mark.parametrize("state", ["", "q2", "no state!"])
async def test_state_may_be_any_string_and_its_type_judges_it(state: str) -> None:
    assert await refused({"sinceQueryState": state}) == "cannotCalculateChanges"


@pytest.mark.checklist("I05")
async def test_each_item_of_removed_and_of_added_is_a_change() -> None:
    assert await refused({"maxChanges": 3}) == "tooManyChanges"
    assert await refused({"maxChanges": 0}) == "tooManyChanges"
    assert len((await requeried({"maxChanges": 4}))["removed"]) == 2
    nothing = QueryChangesResult("q1", None, [], [])
    assert (await requeried({"maxChanges": 0}, nothing))["added"] == []


@pytest.mark.checklist("I05", "A15")
async def test_more_changes_than_the_server_sends_need_a_new_query() -> None:
    """Not tooManyChanges, which invites to ask for more."""
    for arguments in ({}, {"maxChanges": 9}):
        assert await refused(arguments, max_query_changes=3) == "cannotCalculateChanges"
        assert (await requeried(arguments, max_query_changes=4))["removed"] == ["f8", "f3"]


async def test_type_without_query_changes_has_no_such_method() -> None:
    assert FOO.query is not None
    for data_type in (
        replace(FOO, query=None),
        replace(FOO, query=replace(FOO.query, changes=None)),
    ):
        assert await refused({}, data_type=data_type) == "unknownMethod"


DEFECTS = {
    "removed twice": replace(CHANGED, removed=["f8", "f8"]),
    "added twice": replace(CHANGED, added=[("f9", 0), ("f9", 1)]),
    "added in another order": replace(CHANGED, added=[("f9", 1), ("f7", 0)]),
    "added at one place": replace(CHANGED, added=[("f9", 1), ("f7", 1)]),
    "no total": replace(CHANGED, total=None),
    "beyond the end": replace(CHANGED, total=4),
    "changes in the same state": replace(CHANGED, new_query_state="q0"),
}


@pytest.mark.checklist("I02")
@pytest.mark.parametrize("result", DEFECTS.values(), ids=DEFECTS)
async def test_result_that_would_mislead_the_client_is_not_sent(
    result: QueryChangesResult,
) -> None:
    with pytest.raises(DefectiveResult) as caught:
        await requeried({"calculateTotal": True}, result)
    assert caught.value.method == "Foo/queryChanges"
