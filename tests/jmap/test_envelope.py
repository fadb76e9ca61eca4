"""RFC 8620 §3.2, §3.3, §3.6.1: the Request object and the errors of a whole request."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.jmap.envelope import Invocation, parse_request
from gateway.jmap.errors import RequestError
from gateway.jmap.limits import Limits
from gateway.jmap.spec import CORE

KNOWN = frozenset({CORE, "urn:ietf:params:jmap:mail"})


def problem(value: Any, limits: Limits | None = None) -> dict[str, Any]:
    with pytest.raises(RequestError) as caught:
        parse_request(value, limits or Limits(), KNOWN)
    return caught.value.problem()


@pytest.mark.checklist("C05")
def test_request_is_parsed_and_unknown_members_are_ignored() -> None:
    request = parse_request(
        {
            "using": [CORE, CORE],
            "methodCalls": [["Core/echo", {"a": 1}, "c1"], ["Core/echo", {}, ""]],
            "createdIds": {"k1": "M1"},
            "future": {"anything": None},
        },
        Limits(),
        KNOWN,
    )
    assert request.using == {CORE}
    assert request.calls == (
        Invocation("Core/echo", {"a": 1}, "c1"),
        Invocation("Core/echo", {}, ""),
    )
    assert request.created_ids == {"k1": "M1"}


def test_request_without_calls_and_created_ids_is_a_request() -> None:
    request = parse_request({"using": [], "methodCalls": []}, Limits(), KNOWN)
    assert (request.using, request.calls, request.created_ids) == (frozenset(), (), None)


CALL = ["Core/echo", {}, "c1"]


@pytest.mark.checklist("C11")
@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "using",
        1,
        {},
        {"using": [CORE]},
        {"methodCalls": [CALL]},
        {"using": CORE, "methodCalls": [CALL]},
        {"using": None, "methodCalls": [CALL]},
        {"using": [1], "methodCalls": [CALL]},
        {"using": [CORE], "methodCalls": {}},
        {"using": [CORE], "methodCalls": [None]},
        {"using": [CORE], "methodCalls": [[]]},
        {"using": [CORE], "methodCalls": [["Core/echo", {}]]},
        {"using": [CORE], "methodCalls": [["Core/echo", {}, "c1", "c2"]]},
        {"using": [CORE], "methodCalls": [["Core/echo", [], "c1"]]},
        {"using": [CORE], "methodCalls": [["Core/echo", {}, 1]]},
        {"using": [CORE], "methodCalls": [[None, {}, "c1"]]},
        {"using": [CORE], "methodCalls": ["abc"]},
        {"using": [CORE], "methodCalls": [CALL], "createdIds": []},
        {"using": [CORE], "methodCalls": [CALL], "createdIds": None},
        {"using": [CORE], "methodCalls": [CALL], "createdIds": {"k1": 1}},
    ],
)
def test_json_that_is_no_request_is_refused(value: Any) -> None:
    refused = problem(value)
    assert refused["type"] == "urn:ietf:params:jmap:error:notRequest"
    assert refused["status"] == 400
    assert refused["detail"]


@pytest.mark.checklist("A02")
@pytest.mark.parametrize("created_ids", [{"": "M1"}, {"k.1": "M1"}, {"k1": "M/1"}, {"#k": "M1"}])
def test_creation_ids_must_be_ids(created_ids: dict[str, str]) -> None:
    value = {"using": [CORE], "methodCalls": [CALL], "createdIds": created_ids}
    assert problem(value)["type"] == "urn:ietf:params:jmap:error:notRequest"


@pytest.mark.checklist("C13", "C16")
def test_unknown_capability_refuses_the_whole_request() -> None:
    assert problem({"using": [CORE, "https://vendor.example/x"], "methodCalls": [CALL]}) == {
        "type": "urn:ietf:params:jmap:error:unknownCapability",
        "status": 400,
        "detail": 'Not supported: "https://vendor.example/x".',
    }


@pytest.mark.checklist("C15", "A15")
def test_too_many_calls_name_the_limit() -> None:
    limits = Limits(max_calls_in_request=2)
    parse_request({"using": [CORE], "methodCalls": [CALL] * 2}, limits, KNOWN)
    refused = problem({"using": [CORE], "methodCalls": [CALL] * 3}, limits)
    assert refused["type"] == "urn:ietf:params:jmap:error:limit"
    assert refused["limit"] == "maxCallsInRequest"


def test_names_of_the_client_are_repeated_only_so_far() -> None:
    using = ["x" * 1000, *(f"urn:{n}" for n in range(100))]
    assert len(problem({"using": using, "methodCalls": []})["detail"]) < 500
