"""RFC 8620 §3.3, §3.4, §3.6.2, §3.10, §4: a request is run call by call."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jmap.dispatch import Context, dispatch
from gateway.jmap.envelope import Invocation, parse_request
from gateway.jmap.errors import DefectiveResult, MethodError
from gateway.jmap.ijson import decode, encode
from gateway.jmap.limits import Limits
from gateway.jmap.methods.echo import ECHO
from gateway.jmap.registry import Call, Method, Registry
from gateway.jmap.spec import CORE, ChangesResult, QueryChangesResult
from tests.jmap.foos import FOO, FOO_URI, Foos, reference


async def create(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
    """A method that makes a record, as /set will."""
    call.created_ids[arguments["as"]] = "f9"
    return {}


REGISTRY = Registry([FOO], [ECHO, Method("Foo/create", FOO_URI, create)])


class Caller:
    """One user with the account A1, and what was reported about them."""

    def __init__(self, account: Foos | None = None) -> None:
        self.reported: list[tuple[Exception, Invocation]] = []
        self.context = Context(
            accounts={"A1": reference(account or Foos.of(3))},
            limits=Limits(),
            session_state="session-1",
            registry=REGISTRY,
            on_error=lambda error, invocation: self.reported.append((error, invocation)),
            give_turn=self._give_turn,
        )
        self.turns = 0

    async def _give_turn(self) -> None:
        self.turns += 1

    async def post(self, *calls: list[Any], **members: Any) -> dict[str, Any]:
        """The Response, through the encoders, as a client sees it."""
        body = encode({"using": [CORE, FOO_URI], "methodCalls": calls} | members)
        request = parse_request(decode(body, max_depth=64), Limits(), REGISTRY.capabilities)
        response = decode(b"".join(await dispatch(request, self.context)), max_depth=250)
        assert isinstance(response, dict)
        return response

    async def responses(self, *calls: list[Any], **members: Any) -> list[Any]:
        responses = (await self.post(*calls, **members))["methodResponses"]
        assert isinstance(responses, list)
        return responses


@pytest.mark.checklist("C10")
async def test_echo_returns_its_arguments() -> None:
    arguments = {"hello": True, "high": 5, "": [None, {"ids": ["ä"]}]}
    call = ["Core/echo", arguments, "b3ff"]
    assert await Caller().responses(call, using=[CORE]) == [call]


@pytest.mark.checklist("C03", "C04", "C08")
async def test_responses_are_in_order_with_the_ids_of_their_calls() -> None:
    calls = [["Core/echo", {"n": n}, call_id] for n, call_id in enumerate(["a", "", "a", "b"])]
    assert await Caller().responses(*calls) == calls


@pytest.mark.checklist("C07")
async def test_response_has_the_state_of_the_session() -> None:
    assert await Caller().post() == {"methodResponses": [], "sessionState": "session-1"}


@pytest.mark.checklist("C06")
async def test_created_ids_come_back_if_some_were_sent() -> None:
    call = ["Foo/create", {"as": "k2"}, "c1"]
    assert "createdIds" not in await Caller().post(call)
    assert (await Caller().post(call, createdIds={}))["createdIds"] == {"k2": "f9"}
    response = await Caller().post(call, createdIds={"k1": "f1", "k2": "f2"})
    assert response["createdIds"] == {"k1": "f1", "k2": "f9"}


@pytest.mark.checklist("C17", "C18", "C20", "C21", "C22")
async def test_call_that_fails_leaves_the_others_alone() -> None:
    responses = await Caller().responses(
        ["Foo/nothing", {}, "c1"],
        ["Foo/get", {"accountId": "A1", "colour": "red"}, "c2"],
        ["Foo/get", {"accountId": "A2"}, "c3"],
        ["Foo/get", {"accountId": "A1", "ids": ["f1"], "properties": ["size"]}, "c4"],
    )
    assert [(name, arguments.get("type"), call_id) for name, arguments, call_id in responses] == [
        ("error", "unknownMethod", "c1"),
        ("error", "invalidArguments", "c2"),
        ("error", "accountNotFound", "c3"),
        ("Foo/get", None, "c4"),
    ]
    assert responses[3][1]["list"] == [{"id": "f1", "size": 1}]


def answer(name: str, path: str) -> dict[str, str]:
    """A reference to the result of the call "c1"."""
    return {"resultOf": "c1", "name": name, "path": path}


@pytest.mark.checklist("C26", "C29", "E05")
@pytest.mark.parametrize(("path", "ids"), [("/created", ["f0", "f2"]), ("/updated", ["f1"])])
async def test_what_changed_is_got_in_the_same_request(path: str, ids: list[str]) -> None:
    """RFC 8620 §3.7: the example of the RFC."""
    account = Foos.of(3)
    account.changed = ChangesResult("s0", "s1", False, ["f0", "f2"], ["f1"], ["f9"])
    changed, got = await Caller(account).responses(
        ["Foo/changes", {"accountId": "A1", "sinceState": "s0"}, "c1"],
        ["Foo/get", {"accountId": "A1", "#ids": answer("Foo/changes", path)}, "c2"],
    )
    assert changed[1]["created"] == ["f0", "f2"]
    assert [record["id"] for record in got[1]["list"]] == ids


@pytest.mark.checklist("C26", "C29")
@pytest.mark.parametrize(
    ("names", "record"),
    [(["size"], {"id": "f1", "size": 1}), (None, {"id": "f1", "name": "foo 1", "size": 1})],
)
async def test_properties_that_changed_are_got_in_the_same_request(
    names: list[str] | None, record: dict[str, Any]
) -> None:
    """RFC 8621 §2.2: updatedProperties, null if it is not known which ones."""
    account = Foos.of(3)
    members = {"updatedProperties": names}
    account.changed = ChangesResult("s0", "s1", False, [], ["f1"], [], members)
    references = {
        "#ids": answer("Foo/changes", "/updated"),
        "#properties": answer("Foo/changes", "/updatedProperties"),
    }
    _, got = await Caller(account).responses(
        ["Foo/changes", {"accountId": "A1", "sinceState": "s0"}, "c1"],
        ["Foo/get", {"accountId": "A1", **references}, "c2"],
    )
    assert got[1]["list"] == [record]


@pytest.mark.checklist("C26", "C30")
@pytest.mark.parametrize("added", [[("f2", 0), ("f0", 4)], []])
async def test_what_a_query_now_finds_is_got_in_the_same_request(
    added: list[tuple[str, int]],
) -> None:
    account = Foos.of(3)
    account.requeried = QueryChangesResult("q1", None, ["f7"], added)
    name = "Foo/queryChanges"
    _, got = await Caller(account).responses(
        [name, {"accountId": "A1", "sinceQueryState": "q0"}, "c1"],
        ["Foo/get", {"accountId": "A1", "#ids": answer(name, "/added/*/id")}, "c2"],
    )
    assert [record["id"] for record in got[1]["list"]] == [id for id, _ in added]


@pytest.mark.checklist("C28", "E07")
async def test_get_fails_if_the_changes_can_not_be_calculated() -> None:
    responses = await Caller().responses(
        ["Foo/changes", {"accountId": "A1", "sinceState": "forgotten"}, "c1"],
        ["Foo/get", {"accountId": "A1", "#ids": answer("Foo/changes", "/created")}, "c2"],
    )
    assert [arguments["type"] for _, arguments, _ in responses] == [
        "cannotCalculateChanges",
        "invalidResultReference",
    ]


async def test_result_that_would_mislead_the_client_is_reported_and_a_server_fail() -> None:
    account = Foos.of(3)
    account.changed = ChangesResult("s0", "s1", False, ["f1"], ["f1"], [])
    caller = Caller(account)
    call = ["Foo/changes", {"accountId": "A1", "sinceState": "s0"}, "c1"]
    [[name, arguments, _]] = await caller.responses(call)
    assert (name, arguments["type"]) == ("error", "serverFail")
    assert [type(error) for error, _ in caller.reported] == [DefectiveResult]


@pytest.mark.checklist("C14")
async def test_empty_using_answers_each_call_with_unknown_method() -> None:
    responses = await Caller().responses(
        ["Core/echo", {}, "c1"],
        ["Foo/get", {"accountId": "A1", "#ids": None}, "c2"],
        using=[],
    )
    assert responses == [
        ["error", {"type": "unknownMethod"}, "c1"],
        ["error", {"type": "unknownMethod"}, "c2"],
    ]


@pytest.mark.checklist("C25")
async def test_errors_of_a_method_reach_the_client_with_their_members() -> None:
    account = Foos(failure=MethodError("serverUnavailable", "Later.", retryAfter=5))
    caller = Caller(account)
    assert await caller.responses(["Foo/get", {"accountId": "A1"}, "c1"]) == [
        ["error", {"type": "serverUnavailable", "description": "Later.", "retryAfter": 5}, "c1"]
    ]
    assert caller.reported == []


@pytest.mark.checklist("C17", "C25")
async def test_unexpected_exception_is_reported_and_tells_the_client_nothing() -> None:
    failure = KeyError("password hunter2 in /etc/secret")
    caller = Caller(Foos(failure=failure))
    responses = await caller.responses(
        ["Foo/get", {"accountId": "A1"}, "c1"], ["Core/echo", {"still": "here"}, "c2"]
    )
    name, arguments, call_id = responses[0]
    assert (name, arguments["type"], call_id) == ("error", "serverFail", "c1")
    assert arguments["description"]
    assert "hunter2" not in str(arguments)
    assert "KeyError" not in str(arguments)
    assert responses[1] == ["Core/echo", {"still": "here"}, "c2"]
    assert [(error, call.name, call.call_id) for error, call in caller.reported] == [
        (failure, "Foo/get", "c1")
    ]


@pytest.mark.parametrize("failure", [asyncio.CancelledError(), KeyboardInterrupt()])
async def test_cancellation_is_not_swallowed(failure: BaseException) -> None:
    caller = Caller(Foos(failure=failure))
    with pytest.raises(type(failure)):
        await caller.post(["Foo/get", {"accountId": "A1"}, "c1"])
    assert caller.reported == []


# --- Result references (RFC 8620 §3.7) -----------------------------------------------------------


def of(call_id: str, name: str, path: str) -> dict[str, str]:
    return {"resultOf": call_id, "name": name, "path": path}


@pytest.mark.checklist("C26")
async def test_query_and_get_work_in_one_request() -> None:
    account = Foos.of(4)
    responses = await Caller(account).responses(
        ["Foo/query", {"accountId": "A1", "position": 1, "limit": 2}, "q"],
        ["Foo/get", {"accountId": "A1", "#ids": of("q", "Foo/query", "/ids")}, "g"],
        ["Core/echo", {"#names": of("g", "Foo/get", "/list/*/name")}, "e"],
    )
    assert account.gets[0].ids == ("f1", "f2")
    assert responses[2][1] == {"names": ["foo 1", "foo 2"]}


@pytest.mark.checklist("C27", "C28", "C29", "C31")
async def test_reference_fails_its_own_call_only() -> None:
    get = {"accountId": "A1"}
    echo = "Core/echo"
    responses = await Caller().responses(
        ["Foo/get", {"accountId": "A1", "colour": 1}, "c0"],
        ["Foo/get", get | {"#ids": of("c0", "Foo/get", "/ids")}, "c1"],
        ["Foo/get", get | {"#ids": of("c9", echo, "/ids")}, "c2"],
        [echo, {"ids": ["f1"], "name": "f1"}, "c9"],
        ["Foo/get", get | {"#ids": of("c9", "Foo/get", "/ids")}, "c3"],
        ["Foo/get", get | {"#ids": of("c9", echo, "/ids"), "ids": []}, "c4"],
        ["Foo/get", get | {"#ids": of("c9", echo, "/name")}, "c5"],
        ["Foo/get", get | {"#ids": of("c9", echo, "/ids")}, "c6"],
    )
    assert [arguments.get("type", name) for name, arguments, _ in responses] == [
        "invalidArguments",
        "invalidResultReference",
        "invalidResultReference",
        "Core/echo",
        "invalidResultReference",
        "invalidArguments",
        "invalidArguments",
        "Foo/get",
    ]


@pytest.mark.threat("R18")
@pytest.mark.checklist("A15")
async def test_references_can_not_make_a_response_much_larger_than_a_request() -> None:
    calls: list[list[Any]] = [["Core/echo", {"a": "x" * 100_000}, "c0"]]
    for call in range(31):
        arguments = {f"#{n}": of(f"c{call}", "Core/echo", "") for n in range(100)}
        calls.append(["Core/echo", arguments, f"c{call + 1}"])
    response = await Caller().post(*calls)
    outcomes = [name for name, _, _ in response["methodResponses"]]
    assert outcomes == ["Core/echo"] + ["error"] * 31
    assert len(encode(response)) < Limits().max_size_request


@pytest.mark.checklist("A15")
async def test_references_can_not_nest_a_response_deeper_than_it_can_be_encoded() -> None:
    nested: Any = {}
    for _ in range(50):
        nested = [nested]
    calls: list[list[Any]] = [["Core/echo", {"a": nested}, "c0"]]
    calls += [
        ["Core/echo", {"#a": of(f"c{call}", "Core/echo", "")}, f"c{call + 1}"] for call in range(31)
    ]
    responses = await Caller().responses(*calls)
    assert responses[-1][1]["type"] == "invalidResultReference"


# --- Anything ------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.text(max_size=3), items),
    max_leaves=5,
)
known_names = ["accountId", "ids", "properties", "filter", "sort", "position", "anchor", "limit"]
arguments = st.dictionaries(
    st.sampled_from([*known_names, *(f"#{name}" for name in known_names)]), json_values
)


@pytest.mark.checklist("C17", "C18", "C20")
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Foo/get", "Foo/query", "Core/echo", "Foo/set"]),
            arguments | arguments.map(lambda a: {"accountId": "A1"} | a),
            st.sampled_from(["c1", "c2"]),
        ).map(list),
        max_size=4,
    )
)
async def test_any_calls_get_one_response_each(calls: list[list[Any]]) -> None:
    caller = Caller()
    responses = await caller.responses(*calls)
    assert [call_id for _, _, call_id in responses] == [call_id for _, _, call_id in calls]
    for (name, _, _), (response_name, members, _) in zip(calls, responses, strict=True):
        assert response_name == name or members["type"]
    assert caller.reported == []


# --- The Response --------------------------------------------------------------------------------


@pytest.mark.checklist("C01")
@given(
    st.dictionaries(
        st.text(max_size=5), json_values | st.lists(st.integers(0, 9), min_size=33, max_size=99)
    )
)
async def test_an_answer_in_pieces_is_the_same_json(arguments: dict[str, Any]) -> None:
    """RFC 8620 §3.4: however many pieces it is encoded in."""
    members = {"many": {str(n): [n] for n in range(100)}} | arguments
    call = ["Core/echo", {f"a{name}": value for name, value in members.items()}, "c1"]
    assert await Caller().responses(call, using=[CORE]) == [call]


async def test_others_have_their_turn_while_a_long_answer_is_encoded() -> None:
    """RFC 8620 §8.5: one request does not hold up the rest."""
    caller = Caller()
    await caller.responses(["Core/echo", {"list": [{"n": n} for n in range(1000)]}, "c1"])
    assert caller.turns > 30


@pytest.mark.checklist("C17")
async def test_answers_that_are_too_large_together_are_refused_one_by_one() -> None:
    """RFC 8620 §5.1: requestTooLarge; what there is room for is answered."""
    caller = Caller()
    caller.context = replace(caller.context, limits=Limits(max_size_response=1000))
    calls = [["Core/echo", {"a": "x" * size}, str(size)] for size in (800, 900, 10)]
    names = [(name, args.get("type")) for name, args, _ in await caller.responses(*calls)]
    assert names == [("Core/echo", None), ("error", "requestTooLarge"), ("Core/echo", None)]
