"""RFC 8620 §5.2: Foo/changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.jmap.errors import DefectiveResult, MethodError
from gateway.jmap.limits import DEFAULTS, Limits
from gateway.jmap.methods.changes import changes
from gateway.jmap.spec import ChangesRequest, ChangesResult, DataType
from tests.jmap.foos import FOO, Foos, under

CHANGED = ChangesResult("s0", "s1", False, ["f1", "f2"], ["f3"], ["f4"])


async def changed(
    arguments: dict[str, Any],
    result: ChangesResult = CHANGED,
    data_type: DataType = FOO,
    **limits: int,
) -> tuple[dict[str, Any], Foos]:
    account = Foos(changed=result)
    arguments = {"accountId": "A1", "sinceState": "s0"} | arguments
    return await changes(data_type, account, arguments, under(Limits(**limits))), account


@pytest.mark.checklist("E05")
async def test_response_has_the_members_of_the_rfc() -> None:
    response, _ = await changed({})
    assert list(response.items()) == [
        ("accountId", "A1"),
        ("oldState", "s0"),
        ("newState", "s1"),
        ("hasMoreChanges", False),
        ("created", ["f1", "f2"]),
        ("updated", ["f3"]),
        ("destroyed", ["f4"]),
    ]


@pytest.mark.checklist("E10")
async def test_nothing_changed_is_three_empty_arrays() -> None:
    response, _ = await changed({}, ChangesResult("s0", "s0", False, [], [], []))
    assert (response["oldState"], response["newState"]) == ("s0", "s0")
    assert [response[m] for m in ("created", "updated", "destroyed")] == [[], [], []]
    assert response["hasMoreChanges"] is False


@pytest.mark.parametrize("names", [None, ["totalEmails"]])
async def test_type_may_have_further_members(names: list[str] | None) -> None:
    """RFC 8621 §2.2: updatedProperties."""
    response, _ = await changed({}, replace(CHANGED, members={"updatedProperties": names}))
    assert response["updatedProperties"] == names
    assert response["updated"] == ["f3"]


@pytest.mark.checklist("E02", "C09")
@pytest.mark.parametrize(
    ("arguments", "asked"),
    [({}, 9), ({"maxChanges": None}, 9), ({"maxChanges": 4}, 4), ({"maxChanges": 2**53 - 1}, 9)],
)
async def test_type_is_asked_for_no_more_than_client_and_server_want(
    arguments: dict[str, Any], asked: int
) -> None:
    _, account = await changed(arguments, max_changes=9)
    assert account.syncs == [ChangesRequest("s0", asked)]


def test_what_changed_can_be_asked_for_at_once() -> None:
    """A /get that refers to the answer (RFC 8620 §3.7) must not be refused for its size."""
    assert DEFAULTS.max_changes <= DEFAULTS.max_objects_in_get


@pytest.mark.checklist("E01", "C20")
@pytest.mark.parametrize(
    "arguments",
    [
        {"maxChanges": 0},
        {"maxChanges": -1},
        {"maxChanges": 1.5},
        {"maxChanges": 1.0},
        {"maxChanges": "1"},
        {"maxChanges": True},
        {"maxChanges": 2**53},
        {"sinceState": None},
        {"sinceState": 1},
        {"accountId": 1},
        {"ids": []},
    ],
)
async def test_bad_argument_is_invalid_and_nothing_is_run(arguments: dict[str, Any]) -> None:
    account = Foos()
    arguments = {"accountId": "A1", "sinceState": "s0"} | arguments
    with pytest.raises(MethodError) as caught:
        await changes(FOO, account, arguments, under())
    assert caught.value.type == "invalidArguments"
    assert account.syncs == []


@pytest.mark.checklist("C09")
async def test_state_must_be_given() -> None:
    with pytest.raises(MethodError, match=r'invalidArguments: .*"sinceState" is missing'):
        await changes(FOO, Foos(), {"accountId": "A1"}, under())


@pytest.mark.checklist("E07")
@pytest.mark.parametrize("state", ["", "s2", "no state!", "s0 ", "x" * 300])
async def test_state_may_be_any_string_and_its_type_judges_it(state: str) -> None:
    with pytest.raises(MethodError, match="cannotCalculateChanges"):
        await changed({"sinceState": state})


async def test_type_without_changes_has_no_such_method() -> None:
    with pytest.raises(MethodError, match="unknownMethod"):
        await changed({}, data_type=replace(FOO, changes=None))


DEFECTS = {
    "not the state that was asked for": replace(CHANGED, old_state="s9"),
    "4 changes where at most 3": replace(CHANGED, updated=["f3", "f5"], destroyed=[]),
    "created twice": replace(CHANGED, created=["f1", "f1"], destroyed=[]),
    "created and updated": ChangesResult("s0", "s1", False, ["f1"], ["f1"], []),
    "updated and destroyed": ChangesResult("s0", "s1", False, [], ["f1"], ["f1"]),
    "changes in the same state": ChangesResult("s0", "s0", False, [], ["f1"], []),
    "more changes for ever": ChangesResult("s0", "s0", True, [], [], []),
}


@pytest.mark.checklist("E02")
@pytest.mark.parametrize("result", DEFECTS.values(), ids=DEFECTS)
async def test_result_that_would_mislead_the_client_is_not_sent(result: ChangesResult) -> None:
    with pytest.raises(DefectiveResult) as caught:
        await changed({"maxChanges": 3}, result)
    assert caught.value.method == "Foo/changes"


async def test_as_many_changes_as_asked_for_are_sent() -> None:
    response, _ = await changed({"maxChanges": 4})
    assert len(response["created"] + response["updated"] + response["destroyed"]) == 4
