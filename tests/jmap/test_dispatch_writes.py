"""RFC 8620 §3.3, §3.6.2, §5.3, §5.4: requests that change something."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.jmap.call import AccountRef, Call
from gateway.jmap.dispatch import Context, dispatch
from gateway.jmap.envelope import parse_request
from gateway.jmap.errors import MethodError
from gateway.jmap.ijson import decode, encode
from gateway.jmap.kinds import STRING
from gateway.jmap.limits import Limits
from gateway.jmap.methods.echo import ECHO
from gateway.jmap.registry import Registry
from gateway.jmap.spec import CORE, Argument, Special
from tests.jmap.folders import FOLDER, FOLDER_URI, Folders


async def note(account: Folders, arguments: dict[str, Any], call: Call) -> dict[str, Any]:
    """Folder/note: creates under the creation id "note" what `about` refers to."""
    about = call.resolve(arguments["about"])
    call.note_created("note", account.add({"name": "note", "parentId": about}))
    return {"about": about, "limit": call.limits.max_objects_in_set}


async def peek(account: Folders, _arguments: dict[str, Any], call: Call) -> dict[str, Any]:
    """Folder/peek: implies what the client may not call itself, then fails if it is to."""
    call.imply("Folder/get", {"accountId": "A1", "ids": [], "properties": ["id"]})
    call.imply("Folder/none", {"accountId": "A1"})
    account.ask("peek", None)
    return {}


FOLDER_WITH_MORE = replace(
    FOLDER,
    special=(
        Special("note", (Argument("about", STRING),), note, writes=True),
        Special("peek", (), peek),
    ),
)
REGISTRY = Registry([FOLDER_WITH_MORE], [ECHO])


class Caller:
    """A user with these accounts, those in `read_only` for looking only."""

    def __init__(self, *read_only: str, **accounts: Folders) -> None:
        self.reported: list[Exception] = []
        capabilities = frozenset({FOLDER_URI})
        self.context = Context(
            accounts={
                id: AccountRef(account, capabilities, id in read_only)
                for id, account in accounts.items()
            },
            limits=Limits(),
            session_state="session-1",
            registry=REGISTRY,
            on_error=lambda error, _: self.reported.append(error),
            give_turn=_no_turn,
        )

    async def post(self, *calls: list[Any], **members: Any) -> dict[str, Any]:
        body = encode({"using": [CORE, FOLDER_URI], "methodCalls": calls} | members)
        request = parse_request(decode(body, max_depth=64), Limits(), REGISTRY.capabilities)
        response: dict[str, Any] = decode(
            b"".join(await dispatch(request, self.context)), max_depth=250
        )
        return response

    async def responses(self, *calls: list[Any]) -> list[Any]:
        responses: list[Any] = (await self.post(*calls))["methodResponses"]
        return responses


async def _no_turn() -> None:
    pass


@pytest.mark.checklist("F12", "C06")
async def test_creation_ids_live_as_long_as_the_request() -> None:
    account = Folders.named("a")
    caller = Caller(A1=account)
    create = ["Folder/set", {"accountId": "A1", "create": {"k": {"name": "b"}}}, "c1"]
    use = ["Folder/set", {"accountId": "A1", "update": {"f1": {"parentId": "#k"}}}, "c2"]
    _, [_, used, _] = await caller.responses(create, use)
    assert used["updated"] == {"f1": None}
    assert account.records["f1"]["parentId"] == "f2"
    [[_, used, _]] = await caller.responses(use)
    assert used["notUpdated"]["f1"]["type"] == "invalidProperties"


@pytest.mark.checklist("F12", "C06")
async def test_created_ids_of_the_client_are_known_and_sent_back_with_the_new_ones() -> None:
    """RFC 8620 §5.8: so that a proxy can split a request."""
    account = Folders.named("a", "b")
    response = await Caller(A1=account).post(
        ["Folder/set", {"accountId": "A1", "create": {"k": {"name": "c", "parentId": "#l"}}}, "c1"],
        ["Folder/set", {"accountId": "A1", "destroy": ["#m"]}, "c2"],
        createdIds={"l": "f1", "m": "f2", "k": "f9"},
    )
    assert account.records["f3"]["parentId"] == "f1"
    assert list(account.records) == ["f1", "f3"]
    assert response["createdIds"] == {"l": "f1", "m": "f2", "k": "f3"}


@pytest.mark.checklist("F12")
async def test_special_methods_share_the_creation_ids_and_the_limits() -> None:
    account = Folders()
    create = {"accountId": "A1", "create": {"k": {"name": "a"}}}
    use = {"accountId": "A1", "update": {"f1": {"parentId": "#note"}}}
    responses = await Caller(A1=account).responses(
        ["Folder/set", create, "c1"],
        ["Folder/note", {"accountId": "A1", "about": "#k"}, "c2"],
        ["Folder/note", {"accountId": "A1", "about": "#none"}, "c3"],
        ["Folder/set", use, "c4"],
    )
    answers = [arguments["about"] for name, arguments, _ in responses if name == "Folder/note"]
    assert answers == ["f1", None]
    assert responses[1][1]["limit"] == Limits().max_objects_in_set
    assert account.records["f1"]["parentId"] == "f3"


@pytest.mark.checklist("C24")
async def test_accounts_for_looking_only_are_not_changed() -> None:
    account = Folders.named("a")
    mine = Folders.named("b")
    caller = Caller("A1", A1=account, A2=mine)
    copy = {"accountId": "A1", "fromAccountId": "A2", "create": {"k": {"id": "f1"}}}
    responses = await caller.responses(
        ["Folder/set", {"accountId": "A1", "destroy": ["f1"]}, "c1"],
        ["Folder/copy", copy, "c2"],
        ["Folder/note", {"accountId": "A1", "about": "f1"}, "c3"],
        ["Folder/get", {"accountId": "A1"}, "c4"],
        ["Folder/copy", copy | {"accountId": "A2", "fromAccountId": "A1"}, "c5"],
    )
    errors = [arguments.get("type") for _, arguments, _ in responses]
    assert errors == ["accountReadOnly"] * 3 + [None, None]
    assert (list(account.records), account.asked) == (["f1"], [])


# --- Implied calls -------------------------------------------------------------------------------


@pytest.mark.checklist("G05", "C04", "C08")
async def test_originals_are_destroyed_right_after_the_copy() -> None:
    source, target = Folders.named("a", "b", "c"), Folders()
    copy = {"fromAccountId": "A1", "accountId": "A2", "onSuccessDestroyOriginal": True}
    copy["create"] = {"k": {"id": "f1"}, "l": {"id": "f9"}, "m": {"id": "f3"}}
    responses = await Caller(A1=source, A2=target).responses(
        ["Folder/copy", copy, "c1"],
        ["Folder/get", {"accountId": "A1"}, "c2"],
    )
    assert [(name, call_id) for name, _, call_id in responses] == [
        ("Folder/copy", "c1"),
        ("Folder/set", "c1"),
        ("Folder/get", "c2"),
    ]
    assert responses[1][1]["accountId"] == "A1"
    assert responses[1][1]["destroyed"] == ["f1", "f3"]
    assert [record["id"] for record in responses[2][1]["list"]] == ["f2"]


@pytest.mark.checklist("G05")
@pytest.mark.parametrize(("state", "left"), [("s0", []), ("s1", ["f1"])])
async def test_originals_are_destroyed_only_in_the_state_that_is_given(
    state: str, left: list[str]
) -> None:
    source, target = Folders.named("a"), Folders()
    copy = {
        "fromAccountId": "A1",
        "accountId": "A2",
        "create": {"k": {"id": "f1"}},
        "onSuccessDestroyOriginal": True,
        "destroyFromIfInState": state,
    }
    copied, destroyed = await Caller(A1=source, A2=target).responses(["Folder/copy", copy, "c1"])
    assert copied[1]["created"]
    assert destroyed[1].get("type") == ("stateMismatch" if left else None)
    assert list(source.records) == left


@pytest.mark.checklist("G05")
async def test_originals_of_an_account_for_looking_only_stay() -> None:
    source, target = Folders.named("a"), Folders()
    copy = {"fromAccountId": "A1", "accountId": "A2", "create": {"k": {"id": "f1"}}}
    copied, error = await Caller("A1", A1=source, A2=target).responses(
        ["Folder/copy", copy | {"onSuccessDestroyOriginal": True}, "c1"]
    )
    assert copied[1]["created"]
    assert error == ["error", {"type": "accountReadOnly"}, "c1"]
    assert list(source.records) == ["f1"]


async def test_implied_calls_are_made_one_after_the_other_if_the_call_succeeds() -> None:
    """RFC 8620 §5.4: after its response, before the next call."""
    account = Folders.named("a")
    caller = Caller(A1=account)
    peek, echo = ["Folder/peek", {"accountId": "A1"}, "c1"], ["Core/echo", {}, "c2"]
    names = [(name, call_id) for name, _, call_id in await caller.responses(peek, echo)]
    expected = [("Folder/peek", "c1"), ("Folder/get", "c1"), ("error", "c1"), ("Core/echo", "c2")]
    assert names == expected
    account.failure = {"peek": MethodError("forbidden")}
    names = [(name, call_id) for name, _, call_id in await caller.responses(peek, echo)]
    assert names == [("error", "c1"), ("Core/echo", "c2")]


async def test_implied_responses_can_be_referred_to_by_none_but_the_first_name() -> None:
    """RFC 8620 §3.7: a reference is to the first response with the call id."""
    responses = await Caller(A1=Folders.named("a")).responses(
        ["Folder/peek", {"accountId": "A1"}, "c1"],
        ["Core/echo", {"#x": {"resultOf": "c1", "name": "Folder/get", "path": "/list"}}, "c2"],
    )
    assert responses[-1][1]["type"] == "invalidResultReference"


# --- Failures ------------------------------------------------------------------------------------


@pytest.mark.checklist("C17")
@pytest.mark.parametrize("step", ["create", "update", "destroy"])
async def test_unexpected_failure_while_writing_tells_that_something_may_be_done(step: str) -> None:
    """RFC 8620 §3.6.2: after serverFail a client may believe that nothing was changed."""
    account = Folders.named("a", "b")
    failure = KeyError("canary")
    account.failure = {step: failure}
    caller = Caller(A1=account)
    changes = {"create": {"k": {"name": "c"}}, "update": {"f1": {"order": 1}}, "destroy": ["f2"]}
    [[name, arguments, _]] = await caller.responses(
        ["Folder/set", {"accountId": "A1", **changes}, "c1"]
    )
    assert (name, arguments["type"]) == ("error", "serverPartialFail")
    assert "canary" not in str(arguments)
    assert caller.reported == [failure]


@pytest.mark.checklist("C17")
async def test_what_was_changed_is_told_however_large_the_answers_are() -> None:
    """RFC 8620 §3.6.2: requestTooLarge would say that nothing was changed."""
    account = Folders.named("a")
    caller = Caller(A1=account)
    caller.context = replace(caller.context, limits=Limits(max_size_response=500))
    filler = ["Core/echo", {"a": "x" * 450}, "c1"]
    destroy = ["Folder/set", {"accountId": "A1", "destroy": ["f1"]}, "c2"]
    names = [name for name, _, _ in await caller.responses(filler, destroy, filler)]
    assert names == ["Core/echo", "Folder/set", "error"]


# --- Which methods write -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "writes"),
    [
        (["Folder/set"], True),
        (["Folder/copy"], True),
        (["Folder/note"], True),
        (["Core/echo", "Folder/get", "Folder/set"], True),
        (["Core/echo", "Folder/get", "Folder/peek", "None/set"], False),
        ([], False),
    ],
)
def test_methods_that_write_are_known(names: list[str], writes: bool) -> None:
    """RFC 8620 §3.6.2 (accountReadOnly), §5.3: what began to write is brought to its end."""
    assert REGISTRY.writes(names) is writes
