"""RFC 8620 §5.3: Foo/set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.jmap.call import Call
from gateway.jmap.errors import DefectiveResult, MethodError, SetError
from gateway.jmap.limits import Limits
from gateway.jmap.methods.set import set_
from gateway.jmap.settable import Settled
from tests.jmap.folders import FOLDER, Folders, Setting, call


async def sent(account: Folders, context: Call | None = None, **arguments: Any) -> dict[str, Any]:
    """The response of a Folder/set, without the members that say nothing."""
    response = await set_(
        FOLDER, account, {"accountId": "A1"} | arguments, context or call(A1=account)
    )
    assert response.pop("accountId") == "A1"
    return {name: value for name, value in response.items() if value is not None}


async def refused(account: Folders, context: Call | None = None, **arguments: Any) -> str:
    """The type of the error of a Folder/set that must have done nothing."""
    before = (dict(account.records), account.version)
    with pytest.raises(MethodError) as caught:
        await sent(account, context, **arguments)
    assert (account.records, account.version) == before
    return caught.value.type


# --- The call as a whole -------------------------------------------------------------------------


@pytest.mark.checklist("F15", "C09")
@pytest.mark.parametrize(
    "arguments",
    [{}, {"create": None, "update": None, "destroy": None, "ifInState": None}],
    ids=["left out", "null"],
)
async def test_nothing_asked_is_nothing_done(arguments: dict[str, Any]) -> None:
    account = Folders.named("a")
    response = await set_(FOLDER, account, {"accountId": "A1"} | arguments, call(A1=account))
    assert response == {
        "accountId": "A1",
        "oldState": "s0",
        "newState": "s0",
        "created": None,
        "updated": None,
        "destroyed": None,
        "notCreated": None,
        "notUpdated": None,
        "notDestroyed": None,
    }
    assert account.asked == [("open", None)]
    assert account.sets == [{"mood": None, "ifInState": None}]


@pytest.mark.checklist("F15")
async def test_states_are_those_before_and_after() -> None:
    account = Folders.named("a", "b")
    response = await sent(
        account, create={"k": {"name": "c"}}, update={"f1": {"order": 2}}, destroy=["f2"]
    )
    assert response == {
        "oldState": "s0",
        "newState": "s3",
        "created": {
            "k": {"id": "f3", "size": 7, "parentId": None, "memberOf": {}, "tags": {}}
            | {"order": 0, "words": []}
        },
        "updated": {"f1": None},
        "destroyed": ["f2"],
    }


@pytest.mark.checklist("F01")
async def test_other_state_than_the_client_knows_changes_nothing() -> None:
    account = Folders.named("a")
    changes: dict[str, Any] = {
        "create": {"k": {"name": "b"}},
        "update": {"f1": {"order": 1}},
        "destroy": ["f1"],
    }
    assert await refused(account, ifInState="s1", **changes) == "stateMismatch"
    assert await refused(account, ifInState="", **changes) == "stateMismatch"
    assert await refused(account, ifInState="S0") == "stateMismatch"
    assert account.asked == [("open", None)] * 3
    assert (await sent(account, ifInState="s0", **changes))["oldState"] == "s0"


@pytest.mark.checklist("F02")
async def test_more_objects_than_the_limit_are_refused_before_anything_is_done() -> None:
    account = Folders.named("a", "b")
    context = call(A1=account, limits=Limits(max_objects_in_set=3))
    create = {"k1": {"name": "c"}, "k2": {"name": "d"}}
    update = {"f1": {"order": 1}}
    error = await refused(account, context, create=create, update=update, destroy=["f2"])
    assert error == "requestTooLarge"
    assert account.asked == []
    assert len((await sent(account, context, create=create, update=update))["created"]) == 2


@pytest.mark.checklist("C20")
@pytest.mark.parametrize(
    "arguments",
    [
        {"create": []},
        {"create": {"k": None}},
        {"create": {"not an id!": {"name": "x"}}},
        {"create": {"": {"name": "x"}}},
        {"update": {"f1": []}},
        {"update": ["f1"]},
        {"destroy": "f1"},
        {"destroy": [1]},
        {"destroy": {"f1": True}},
        {"ifInState": 1},
        {"mood": 1},
        {"colour": "red"},
    ],
)
async def test_bad_argument_is_invalid(arguments: dict[str, Any]) -> None:
    account = Folders.named("a")
    assert await refused(account, **arguments) == "invalidArguments"
    assert account.asked == []


async def test_own_arguments_of_the_type_are_handed_on() -> None:
    """RFC 8620 §5.3: types add arguments of their own, such as onDestroyRemoveEmails."""
    account = Folders()
    await sent(account, mood="fine", ifInState="s0")
    assert account.sets == [{"mood": "fine", "ifInState": "s0"}]


async def test_what_follows_is_done_after_all_and_before_the_new_state() -> None:
    """RFC 8621 §7.5, RFC 9661 §2.4: onSuccess..."""
    account = Folders.named("a", "b")
    seen: list[tuple[dict[str, Any], bool]] = []

    async def after(
        setting: Setting, arguments: dict[str, Any], settled: Settled, context: Call
    ) -> None:
        seen.append((arguments, settled.is_success))
        made = context.resolve("#k")
        assert made is not None
        assert set(account.records) >= {made, "f1"}
        settled.updated["f1"] = {"size": 9}
        await setting.destroy(["f2"])

    assert FOLDER.set is not None
    folder = replace(FOLDER, set=replace(FOLDER.set, after=after))
    arguments = {"accountId": "A1", "mood": "fine", "create": {"k": {"name": "c"}}}
    response = await set_(folder, account, arguments, call(A1=account))
    assert seen == [({"mood": "fine", "ifInState": None}, True)]
    assert response["updated"] == {"f1": {"size": 9}}
    assert response["newState"] == f"s{account.version}" == "s2"
    await set_(folder, account, arguments | {"destroy": ["none"]}, call(A1=account))
    assert [is_success for _, is_success in seen] == [True, False]


async def test_type_without_set_has_no_such_method() -> None:
    """RFC 8620 §3.6.2: unknownMethod."""
    properties = tuple(replace(p, settable=None) for p in FOLDER.properties)
    fixed = replace(FOLDER, set=None, copy=None, properties=properties)
    with pytest.raises(MethodError) as caught:
        await set_(fixed, Folders(), {"accountId": "A1"}, call())
    assert caught.value.type == "unknownMethod"


@pytest.mark.checklist("F04")
async def test_objects_that_fail_do_not_stop_the_others() -> None:
    account = Folders.named("a", "b", "stuck", "wedged", "c")
    account.refused = {
        "bad": SetError("overQuota", "There is no room."),
        "stuck": SetError("forbidden"),
        "wedged": SetError("mailboxHasEmail", emailIds=["e1"]),
    }
    response = await sent(
        account,
        create={"k1": {"name": "bad"}, "k2": {"name": "good"}, "k3": {"colour": "red"}},
        update={"f1": {"order": "x"}, "f2": {"order": 2}, "f3": {"order": 3}},
        destroy=["f9", "f4", "f5"],
    )
    assert response.keys() - {"oldState", "newState"} == {
        *("created", "notCreated", "updated", "notUpdated", "destroyed", "notDestroyed")
    }
    assert list(response["created"]) == ["k2"]
    assert response["notCreated"]["k1"] == {"type": "overQuota", "description": "There is no room."}
    assert response["notCreated"]["k3"]["properties"] == ["colour", "name"]
    assert response["updated"] == {"f2": None}
    assert response["notUpdated"]["f1"]["type"] == "invalidProperties"
    assert response["notUpdated"]["f3"] == {"type": "forbidden"}
    assert response["destroyed"] == ["f5"]
    assert response["notDestroyed"] == {
        "f9": {"type": "notFound"},
        "f4": {"type": "mailboxHasEmail", "emailIds": ["e1"]},
    }


@pytest.mark.checklist("F04")
async def test_step_that_fails_is_told_for_each_of_its_objects() -> None:
    """What the steps before have done is told all the same."""
    account = Folders.named("a", "b", "c")
    account.failure = {"update": MethodError("serverUnavailable", "Later.")}
    response = await sent(
        account,
        create={"k": {"name": "d"}},
        update={"f1": {"order": 1}, "f2": {"order": 0}},
        destroy=["f3"],
    )
    assert list(response["created"]) == ["k"]
    assert response["updated"] == {"f2": None}
    assert response["notUpdated"] == {"f1": {"type": "serverUnavailable", "description": "Later."}}
    assert response["destroyed"] == ["f3"]
    assert account.records["f1"]["order"] == 0


@pytest.mark.checklist("F04")
@pytest.mark.parametrize("step", ["create", "current", "update", "destroy"])
async def test_no_step_that_fails_is_told_as_success(step: str) -> None:
    account = Folders.named("a", "b")
    account.failure = {step: MethodError("serverUnavailable")}
    response = await sent(
        account, create={"k": {"name": "d"}}, update={"f1": {"order": 1}}, destroy=["f2"]
    )
    failed = {"create": "notCreated", "destroy": "notDestroyed"}.get(step, "notUpdated")
    assert [name for name in response if name.startswith("not")] == [failed]
    assert [error["type"] for error in response[failed].values()] == ["serverUnavailable"]


async def test_failure_to_begin_is_an_error_of_the_method() -> None:
    """RFC 8620 §3.6.2: nothing was done."""
    account = Folders.named("a")
    account.failure = {"open": MethodError("serverUnavailable")}
    assert await refused(account, destroy=["f1"]) == "serverUnavailable"


@pytest.mark.parametrize("extra", [{"f2": None}, {}])
async def test_outcome_of_other_objects_is_a_defect(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, None]
) -> None:
    """RFC 8620 §5.3: each object is told of once."""

    async def destroy(_setting: Setting, _ids: list[str]) -> dict[str, None]:
        return extra

    monkeypatch.setattr(Setting, "destroy", destroy)
    account = Folders.named("a")
    with pytest.raises(DefectiveResult):
        await sent(account, destroy=["f1"])


# --- Create --------------------------------------------------------------------------------------


@pytest.mark.checklist("F14")
async def test_created_has_what_the_client_did_not_send() -> None:
    account = Folders()
    response = await sent(
        account, create={"k": {"name": "a", "order": 5, "parentId": None, "icon": "bold"}}
    )
    expected = {"id": "f1", "size": 7, "memberOf": {}, "tags": {}, "words": []}
    assert response["created"] == {"k": expected}
    whole = {"name": "a", "order": 5, "parentId": None, "icon": "bold"}
    whole |= {"memberOf": {}, "tags": {}, "words": []}
    assert account.asked[1] == ("create", {"k": whole})


@pytest.mark.checklist("F14")
async def test_what_the_server_made_of_a_default_or_a_value_is_told() -> None:
    account = Folders(further={"order": 3, "name": "a (2)"})
    response = await sent(account, create={"k": {"name": "a"}})
    assert response["created"]["k"]["order"] == 3
    assert response["created"]["k"]["name"] == "a (2)"


async def test_property_without_default_may_be_left_to_the_type() -> None:
    """RFC 8620 §5.3: properties that the server sets if the client does not."""
    account = Folders()
    await sent(account, create={"k": {"name": "a"}})
    assert "icon" not in account.asked[1][1]["k"]


async def test_defaults_are_each_objects_own() -> None:
    """RFC 8620 §5.3: what a type does with one object is no matter for the next."""
    account = Folders()
    await sent(account, create={"k1": {"name": "a"}, "k2": {"name": "b"}})
    first, second = account.records.values()
    first["tags"]["x"] = True
    assert second["tags"] == {}
    await sent(account, create={"k3": {"name": "c"}})
    assert account.records["f3"]["tags"] == {}


@pytest.mark.checklist("F10")
@pytest.mark.parametrize(
    ("given", "properties"),
    [
        ({}, ["name"]),
        ({"name": None}, ["name"]),
        ({"name": 1}, ["name"]),
        ({"name": "a", "id": "f1"}, ["id"]),
        ({"name": "a", "size": 7}, ["size"]),
        ({"name": "a", "colour": "red"}, ["colour"]),
        ({"name": "a", "tags/x": True}, ["tags/x"]),
        ({"name": "a", "parentId": "not an id!"}, ["parentId"]),
        ({"name": "a", "order": -1}, ["order"]),
        ({"name": "a", "order": True}, ["order"]),
        ({"name": "a", "tags": {"x": False}}, ["tags"]),
        ({"name": "a", "tags": None}, ["tags"]),
        ({"order": "1", "id": None, "colour": 1}, ["colour", "id", "name", "order"]),
    ],
)
async def test_all_invalid_properties_of_a_new_object_are_named(
    given: dict[str, Any], properties: list[str]
) -> None:
    account = Folders()
    error = (await sent(account, create={"k": given}))["notCreated"]["k"]
    assert (error["type"], error["properties"]) == ("invalidProperties", properties)
    assert all(f'"{name}"' in error["description"] for name in properties)
    assert account.asked == [("open", None)]


async def test_made_up_properties_are_handed_on_if_the_type_takes_them() -> None:
    """RFC 8621 §4.6: header:{name} properties are in no table."""
    account = Folders()
    response = await sent(
        account, create={"k": {"name": "a", "x:y": 1}, "l": {"name": "a", "y": 1}}
    )
    assert account.asked[1][1]["k"]["x:y"] == 1
    assert response["notCreated"]["l"]["properties"] == ["y"]
    assert "x:y" not in response["created"]["k"]


# --- Update --------------------------------------------------------------------------------------


@pytest.mark.checklist("F08", "F14")
async def test_patch_changes_what_it_names() -> None:
    account = Folders.named("a", "b")
    account.records["f1"]["tags"] = {"old": True, "kept": True}
    account.further = {"size": 8}
    response = await sent(
        account,
        update={"f1": {"tags/old": None, "tags/new": True, "order": 4}, "f2": {"tags/x": None}},
    )
    assert response["updated"] == {"f1": {"size": 8}, "f2": None}
    assert account.records["f1"]["tags"] == {"kept": True, "new": True}
    [(_, changes)] = [asked for asked in account.asked if asked[0] == "update"]
    assert changes.keys() == {"f1"}
    assert changes["f1"].before == {"tags": {"old": True, "kept": True}, "order": 0}
    assert changes["f1"].after == {"tags": {"kept": True, "new": True}, "order": 4}


@pytest.mark.checklist("F08")
async def test_null_sets_the_default() -> None:
    account = Folders.named("a")
    account.records["f1"] |= {"order": 5, "tags": {"x": True}, "parentId": "f9"}
    await sent(account, update={"f1": {"order": None, "tags": None, "parentId": None}})
    record = account.records["f1"]
    assert (record["order"], record["tags"], record["parentId"]) == (0, {}, None)


@pytest.mark.checklist("F09")
async def test_whole_object_can_be_sent_back() -> None:
    account = Folders.named("a")
    whole = dict(account.records["f1"])
    assert await sent(account, update={"f1": whole}) == {
        "oldState": "s0",
        "newState": "s0",
        "updated": {"f1": None},
    }
    response = await sent(account, update={"f1": whole | {"name": "b"}})
    assert response["updated"] == {"f1": None}
    assert account.records["f1"]["name"] == "b"


@pytest.mark.checklist("F09", "F10")
@pytest.mark.parametrize(
    ("members", "properties"),
    [
        ({"id": "f2"}, ["id"]),
        ({"id": None}, ["id"]),
        ({"size": 8}, ["size"]),
        ({"size": None}, ["size"]),
        ({"icon": "bold"}, ["icon"]),
        ({"icon": None}, ["icon"]),
        ({"colour": "red"}, ["colour"]),
        ({"colour": None}, ["colour"]),
        ({"x:y": 1}, ["x:y"]),
        ({"name": None}, ["name"]),
        ({"name": 1}, ["name"]),
        ({"order": False}, ["order"]),
        ({"tags/x": False}, ["tags"]),
        ({"tags/x": 1}, ["tags"]),
        ({"words": [1]}, ["words"]),
        ({"order": -1, "size": 8, "name": "b"}, ["order", "size"]),
    ],
)
async def test_update_to_what_can_not_be_is_refused_as_a_whole(
    members: dict[str, Any], properties: list[str]
) -> None:
    account = Folders.named("a")
    before = dict(account.records["f1"])
    error = (await sent(account, update={"f1": members}))["notUpdated"]["f1"]
    assert (error["type"], error["properties"]) == ("invalidProperties", properties)
    assert account.records["f1"] == before


@pytest.mark.checklist("F09")
async def test_true_is_not_the_same_as_one() -> None:
    account = Folders.named("a")
    account.records["f1"]["size"] = 1
    response = await sent(account, update={"f1": {"size": True}})
    assert response["notUpdated"]["f1"]["properties"] == ["size"]


@pytest.mark.checklist("F03", "F07")
async def test_invalid_patch_is_refused_as_a_whole() -> None:
    account = Folders.named("a")
    bad: list[dict[str, Any]] = [
        {"order": 1, "words/0": "x"},
        {"order": 1, "icon/x/y": 1},
        {"order": 1, "tags": {}, "tags/x": True},
        {"order": 1, "na~me": "b"},
    ]
    for members in bad:
        response = await sent(account, update={"f1": members})
        assert response["notUpdated"]["f1"]["type"] == "invalidPatch"
    assert account.records["f1"]["order"] == 0


@pytest.mark.checklist("F05")
async def test_unknown_ids_are_not_found() -> None:
    account = Folders.named("a")
    update = {id: {"name": "b"} for id in ("f9", "", "not an id!", "#k")}
    response = await sent(account, update=update, destroy=["f8", "#k", "f8", "!"])
    not_found = {"type": "notFound"}
    assert response["notUpdated"] == dict.fromkeys(update, not_found)
    assert response["notDestroyed"] == dict.fromkeys(["f8", "#k", "!"], not_found)


async def test_only_the_properties_that_patches_name_are_read() -> None:
    """RFC 8620 §5.3: an update is compared with the present values, so these are looked up once."""
    account = Folders.named("a", "b")
    await sent(account, update={"f1": {"tags/x": True, "y": 1}, "f2": {"order": 0, "id": "f2"}})
    assert account.asked[1] == ("current", (["f1", "f2"], frozenset({"tags", "order", "id"})))


@pytest.mark.checklist("F16")
async def test_update_of_what_is_to_be_destroyed_is_skipped() -> None:
    account = Folders.named("a", "b")
    response = await sent(
        account, update={"f1": {"order": 1}, "f2": {"order": 1}}, destroy=["f1", "f1"]
    )
    assert response["notUpdated"] == {"f1": {"type": "willDestroy"}}
    assert response["updated"] == {"f2": None}
    assert response["destroyed"] == ["f1"]


@pytest.mark.checklist("F06")
async def test_all_updates_are_given_to_the_type_together() -> None:
    """So that it can let two objects swap a name that only one may have."""
    account = Folders.named("a", "b")
    await sent(account, update={"f1": {"name": "b"}, "f2": {"name": "a"}})
    [(_, changes)] = [asked for asked in account.asked if asked[0] == "update"]
    assert {id: change.after["name"] for id, change in changes.items()} == {"f1": "b", "f2": "a"}


# --- Creation ids --------------------------------------------------------------------------------


@pytest.mark.checklist("F12", "F13")
async def test_objects_of_one_call_refer_to_each_other_in_any_order() -> None:
    account = Folders()
    response = await sent(
        account,
        create={
            "leaf": {"name": "leaf", "parentId": "#twig", "memberOf": {"#root": True}},
            "twig": {"name": "twig", "parentId": "#root"},
            "root": {"name": "root"},
            "other": {"name": "other"},
        },
    )
    ids = {key: made["id"] for key, made in response["created"].items()}
    assert account.records[ids["leaf"]]["parentId"] == ids["twig"]
    assert account.records[ids["leaf"]]["memberOf"] == {ids["root"]: True}
    assert account.records[ids["twig"]]["parentId"] == ids["root"]
    steps = [sorted(objects) for step, objects in account.asked if step == "create"]
    assert steps == [["other", "root"], ["twig"], ["leaf"]]


@pytest.mark.checklist("F12", "F18")
@pytest.mark.parametrize(
    ("create", "failed"),
    [
        ({"a": {"name": "a", "parentId": "#none"}}, {"a": ["parentId"]}),
        ({"a": {"name": "a", "memberOf": {"#none": True}}}, {"a": ["memberOf"]}),
        ({"a": {"name": "a", "parentId": "#a"}}, {"a": ["parentId"]}),
        (
            {
                "a": {"name": "a", "parentId": "#b"},
                "b": {"name": "b", "parentId": "#a"},
                "c": {"name": "c", "parentId": "#b"},
                "d": {"name": "d"},
            },
            {"a": ["parentId"], "b": ["parentId"], "c": ["parentId"]},
        ),
        (
            {"a": {"name": "bad"}, "b": {"name": "b", "parentId": "#a", "order": -1}},
            {"a": [], "b": ["order", "parentId"]},
        ),
    ],
)
async def test_reference_to_what_was_not_created_is_invalid(
    create: dict[str, Any], failed: dict[str, list[str]]
) -> None:
    account = Folders(refused={"bad": SetError("forbidden")})
    response = await sent(account, create=create)
    properties = {key: e.get("properties", []) for key, e in response["notCreated"].items()}
    assert properties == failed
    assert response.get("created", {}).keys() == create.keys() - failed.keys()


@pytest.mark.checklist("F12")
async def test_creation_ids_stand_for_ids_everywhere_in_the_call_and_after() -> None:
    account = Folders.named("a", "b", "c")
    context = call(A1=account)
    context.note_created("old", "f2")
    response = await sent(
        account,
        context,
        create={"k": {"name": "d", "parentId": "#old"}, "doomed": {"name": "e"}},
        update={
            "f1": {"parentId": "#k", "memberOf/#old": True},
            "#k": {"order": 9},
            "f3": {"memberOf": {"#k": True}},
        },
        destroy=["#doomed"],
    )
    assert response["updated"] == {"f1": None, "f4": None, "f3": None}
    assert response["destroyed"] == ["f5"]
    assert account.records["f4"]["parentId"] == "f2"
    assert account.records["f4"]["order"] == 9
    assert account.records["f1"]["parentId"] == "f4"
    assert account.records["f1"]["memberOf"] == {"f2": True}
    assert account.records["f3"]["memberOf"] == {"f4": True}
    await sent(account, context, update={"f1": {"memberOf/#k": True, "memberOf/#old": None}})
    assert account.records["f1"]["memberOf"] == {"f4": True}


@pytest.mark.checklist("F12")
async def test_creation_id_used_again_stands_for_the_newest() -> None:
    account = Folders.named("a")
    context = call(A1=account)
    await sent(account, context, create={"k": {"name": "first"}})
    await sent(
        account, context, create={"child": {"name": "x", "parentId": "#k"}, "k": {"name": "second"}}
    )
    assert account.records["f4"] | {"name": "x", "parentId": "f3"} == account.records["f4"]
    await sent(account, context, update={"f1": {"parentId": "#k"}})
    assert account.records["f1"]["parentId"] == "f3"


@pytest.mark.checklist("F12")
async def test_patch_that_refers_to_what_was_not_created_is_invalid() -> None:
    account = Folders.named("a", "b", "c")
    response = await sent(
        account,
        update={
            "f1": {"parentId": "#none"},
            "f2": {"memberOf/#none": True},
            "f3": {"memberOf": {"#none": True}},
        },
    )
    properties = {id: error["properties"] for id, error in response["notUpdated"].items()}
    assert properties == {"f1": ["parentId"], "f2": ["memberOf"], "f3": ["memberOf"]}


@pytest.mark.checklist("F07", "F12")
async def test_two_patches_of_one_object_or_of_one_place_are_invalid() -> None:
    account = Folders.named("a", "b")
    context = call(A1=account)
    context.note_created("k", "f1")
    response = await sent(
        account,
        context,
        update={
            "f1": {"order": 1},
            "#k": {"order": 2},
            "f2": {"memberOf/#k": True, "memberOf/f1": None},
        },
    )
    assert response["updated"] == {"f1": None}
    types = {id: error["type"] for id, error in response["notUpdated"].items()}
    assert types == {"#k": "invalidPatch", "f2": "invalidPatch"}


async def test_sharp_signs_mean_nothing_elsewhere() -> None:
    """RFC 8620 §5.3: only what refers to other objects can be "#creationId"."""
    account = Folders.named("a")
    await sent(account, update={"f1": {"name": "#k", "tags/#k": True}})
    assert account.records["f1"]["name"] == "#k"
    assert account.records["f1"]["tags"] == {"#k": True}
