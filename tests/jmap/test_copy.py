"""RFC 8620 §5.4: Foo/copy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.jmap.call import AccountRef, Call
from gateway.jmap.errors import DefectiveResult, MethodError, SetError
from gateway.jmap.limits import Limits
from gateway.jmap.methods.copy import copy
from gateway.jmap.settable import Copy, CopyRequest, CopyResult
from tests.jmap.folders import FOLDER, FOLDER_URI, Folders, call

BETWEEN = {"fromAccountId": "A1", "accountId": "A2"}


async def sent(context: Call, **arguments: Any) -> dict[str, Any]:
    """The response of a Folder/copy from A1 to A2."""
    account = context.accounts["A2"].account
    return await copy(FOLDER, account, BETWEEN | {"create": {}} | arguments, context)


async def refused(context: Call, **arguments: Any) -> str:
    """The type of the error of a Folder/copy that must have copied nothing."""
    with pytest.raises(MethodError) as caught:
        await sent(context, **arguments)
    assert context.accounts["A2"].account.asked == []
    assert context.implied == []
    return caught.value.type


def accounts(*names: str) -> tuple[Folders, Folders, Call]:
    """A1 with objects of these names, the empty A2, and a call of their user."""
    source, target = Folders.named(*names), Folders()
    return source, target, call(A1=source, A2=target)


@pytest.mark.checklist("G03", "C09")
async def test_copy_is_like_its_original_but_for_what_is_given() -> None:
    source, target, context = accounts("a", "b")
    source.records["f1"]["words"] = ["x"]
    response = await sent(context, create={"k": {"id": "f1"}, "l": {"id": "f2", "name": "c"}})
    assert response == BETWEEN | {
        "oldState": "s0",
        "newState": "s2",
        "created": {"k": {"id": "f1"}, "l": {"id": "f2"}},
        "notCreated": None,
    }
    assert target.records["f1"]["words"] == ["x"]
    assert [record["name"] for record in target.records.values()] == ["a", "c"]
    assert len(source.records) == 2
    assert context.implied == []


async def test_nothing_to_copy_is_nothing_copied() -> None:
    """RFC 8620 §5.4: null where no object was copied, or none failed."""
    _, _, context = accounts("a")
    response = await sent(context)
    assert (response["created"], response["notCreated"]) == (None, None)


@pytest.mark.checklist("G01", "G04")
@pytest.mark.parametrize(
    ("arguments", "type"),
    [
        ({"fromAccountId": "A2"}, "invalidArguments"),
        ({"fromAccountId": None}, "invalidArguments"),
        ({"fromAccountId": "A9"}, "fromAccountNotFound"),
        ({"fromAccountId": "A3"}, "fromAccountNotSupportedByMethod"),
        ({"create": None}, "invalidArguments"),
        ({"create": {"k": []}}, "invalidArguments"),
        ({"create": {"not an id!": {"id": "f1"}}}, "invalidArguments"),
        ({"onSuccessDestroyOriginal": None}, "invalidArguments"),
        ({"destroyFromIfInState": 1}, "invalidArguments"),
        ({"ifFromInState": 1}, "invalidArguments"),
        ({"colour": 1}, "invalidArguments"),
    ],
)
async def test_bad_argument_copies_nothing(arguments: dict[str, Any], type: str) -> None:
    source, target, _ = accounts("a")
    references = {
        "A1": AccountRef(source, frozenset({FOLDER_URI}), is_read_only=False),
        "A2": AccountRef(target, frozenset({FOLDER_URI}), is_read_only=False),
        "A3": AccountRef(Folders(), frozenset({"https://gateway.example/other"}), False),
    }
    context = Call(references, Limits(), {})
    create = {"create": {"k": {"id": "f1"}}}
    assert await refused(context, **create | arguments) == type


@pytest.mark.checklist("F02")
async def test_more_objects_than_the_limit_are_refused() -> None:
    source, target, _ = accounts("a")
    context = call(A1=source, A2=target, limits=Limits(max_objects_in_set=1))
    create = {"k": {"id": "f1"}, "l": {"id": "f1"}}
    assert await refused(context, create=create) == "requestTooLarge"


@pytest.mark.checklist("G02")
@pytest.mark.parametrize("argument", ["ifInState", "ifFromInState"])
async def test_other_state_than_the_client_knows_copies_nothing(argument: str) -> None:
    _, _, context = accounts("a")
    create = {"k": {"id": "f1"}}
    arguments = {argument: "s7"}
    assert await refused(context, create=create, **arguments) == "stateMismatch"
    assert (await sent(context, create=create, **{argument: "s0"}))["created"]


@pytest.mark.checklist("G06", "G07")
async def test_each_object_is_copied_or_refused_alone() -> None:
    _, target, context = accounts("a", "there")
    target.refused = {"there": SetError("alreadyExists", existingId="f7")}
    response = await sent(
        context,
        create={
            "k1": {"id": "f9"},
            "k2": {"id": "f2"},
            "k3": {"id": "f1"},
            "k4": {"id": "#none"},
            "k5": {},
            "k6": {"id": 1},
            "k7": {"id": "f1", "name": 1, "order": 1, "colour": 1, "memberOf": {"#none": True}},
        },
    )
    assert response["created"] == {"k3": {"id": "f1"}}
    errors = response["notCreated"]
    assert errors["k1"] == errors["k4"] == {"type": "notFound"}
    assert errors["k2"] == {"type": "alreadyExists", "existingId": "f7"}
    assert errors["k5"]["properties"] == errors["k6"]["properties"] == ["id"]
    assert errors["k7"]["properties"] == ["colour", "memberOf", "name", "order"]


@pytest.mark.checklist("F12")
async def test_copies_have_creation_ids_and_may_refer_to_others() -> None:
    _, target, context = accounts("a", "b")
    context.note_created("there", "m1")
    context.note_created("here", "f2")
    await sent(context, create={"k": {"id": "#here", "memberOf": {"#there": True}}})
    assert target.records["f1"]["name"] == "b"
    assert target.records["f1"]["memberOf"] == {"m1": True}
    assert context.resolve("#k") == "f1"


@pytest.mark.checklist("G05")
async def test_originals_of_the_copies_are_to_be_destroyed_if_that_is_wanted() -> None:
    _, target, context = accounts("a", "b", "stuck")
    target.refused = {"stuck": SetError("overQuota")}
    create = {"k": {"id": "f1"}, "l": {"id": "f3"}, "m": {"id": "f1"}, "n": {"id": "f2"}}
    wanted = {"onSuccessDestroyOriginal": True, "destroyFromIfInState": "s5"}
    await sent(context, create=create, **wanted)
    arguments = {"accountId": "A1", "ifInState": "s5", "destroy": ["f1", "f2"]}
    assert context.implied == [("Folder/set", arguments)]


@pytest.mark.checklist("G05")
async def test_nothing_is_to_be_destroyed_if_nothing_was_copied() -> None:
    _, _, context = accounts("a")
    await sent(context, create={"k": {"id": "f9"}}, onSuccessDestroyOriginal=True)
    assert context.implied == []


async def test_outcome_of_other_objects_is_a_defect() -> None:
    """RFC 8620 §5.4: each object is told of once."""

    async def run(_request: CopyRequest) -> CopyResult:
        return CopyResult("s0", "s1", {})

    _, target, context = accounts("a")
    data_type = replace(FOLDER, copy=Copy(run, frozenset()))
    with pytest.raises(DefectiveResult):
        await copy(data_type, target, BETWEEN | {"create": {"k": {"id": "f1"}}}, context)


async def test_type_without_copy_has_no_such_method() -> None:
    """RFC 8620 §3.6.2: unknownMethod."""
    _, target, context = accounts()
    with pytest.raises(MethodError) as caught:
        await copy(replace(FOLDER, copy=None), target, BETWEEN | {"create": {}}, context)
    assert caught.value.type == "unknownMethod"
