"""RFC 8620 §3.7, RFC 6901: references to the results of earlier calls."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jmap.errors import MethodError
from gateway.jmap.limits import Limits
from gateway.jmap.references import Budget, Response, resolve

RESPONSES: list[Response] = [
    ("Foo/changes", {"accountId": "A1", "created": ["f1", "f4"], "updated": []}, "t0"),
    (
        "Foo/get",
        {
            "list": [
                {"id": "f1", "barIds": ["b1", "b2"], "name": "x", "n": 1, "m": [[1], [2]]},
                {"id": "f4", "barIds": [], "name": "y", "n": 2, "m": [[], [3, [4]]]},
            ],
            "a/b": {"~": {"~1": "escaped"}},
            "": {"": "empty names"},
            "*": {"*": "a star that is a name"},
            "notFound": [],
        },
        "t1",
    ),
    ("error", {"type": "serverFail"}, "t2"),
    ("Foo/get", {"list": "the second response of t1"}, "t1"),
    ("Bar/get", {"list": "the second response of t0"}, "t0"),
]


def referring(path: str, name: str = "Foo/get", result_of: str = "t1") -> dict[str, Any]:
    return {"#ids": {"resultOf": result_of, "name": name, "path": path}}


def resolved(
    arguments: dict[str, Any], responses: list[Response] = RESPONSES, **limits: int
) -> dict[str, Any]:
    return resolve(arguments, responses, Budget(Limits(**limits)))


def error_type(arguments: dict[str, Any]) -> str:
    with pytest.raises(MethodError) as caught:
        resolved(arguments)
    return caught.value.type


@pytest.mark.checklist("C26", "C29", "C30")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/list/0/id", "f1"),
        ("/list/1/n", 2),
        ("/list/*/id", ["f1", "f4"]),
        ("/list/*/barIds", ["b1", "b2"]),
        ("/list/*/barIds/*", ["b1", "b2"]),
        ("/list/*/m", [[1], [2], [], [3, [4]]]),
        ("/list/*/m/*", [1, 2, 3, [4]]),
        ("/list/1/barIds", []),
        ("/notFound/*", []),
        ("/notFound/*/anything/at/all", []),
        ("/a~1b/~0/~01", "escaped"),
        ("//", "empty names"),
        ("/*/*", "a star that is a name"),
        ("", RESPONSES[1][1]),
    ],
)
def test_path_selects(path: str, value: Any) -> None:
    assert resolved(referring(path)) == {"ids": value}


@pytest.mark.checklist("C28", "C29")
@pytest.mark.parametrize(
    "reference",
    [
        referring("/list", result_of="t9"),
        referring("/list", name="Foo/query"),
        referring("/type", name="Foo/get", result_of="t2"),
        referring("/list", name="Bar/get", result_of="t0"),
        referring("list"),
        referring("/nothing"),
        referring("/list/2"),
        referring("/list/-1"),
        referring("/list/-"),
        referring("/list/01"),
        referring("/list/+1"),
        referring("/list/1_0"),
        referring("/list/٠"),
        referring("/list/" + "9" * 5000),
        referring("/list/id"),
        referring("/list/*/none"),
        referring("/list/*/name/x"),
        referring("/list/0/*"),
        referring("/list/0/name/0"),
        referring("/a~b"),
        referring("/a~2b"),
        referring("/a/b"),
        {"#ids": None},
        {"#ids": "/list/*/id"},
        {"#ids": {}},
        {"#ids": {"resultOf": "t1", "name": "Foo/get"}},
        {"#ids": {"resultOf": "t1", "name": "Foo/get", "path": None}},
    ],
)
def test_reference_that_does_not_resolve_fails_the_call(reference: dict[str, Any]) -> None:
    assert error_type(reference) == "invalidResultReference"


@pytest.mark.checklist("C27")
def test_argument_in_both_forms_is_invalid() -> None:
    assert error_type(referring("/list/*/id") | {"ids": None}) == "invalidArguments"


def test_other_arguments_are_kept() -> None:
    arguments = {"accountId": "A1", **referring("/created", "Foo/changes", "t0")}
    assert resolved(arguments) == {"accountId": "A1", "ids": ["f1", "f4"]}


def test_names_without_reference_inside_values_are_no_references() -> None:
    arguments = {"create": {"#k": {"resultOf": "t1"}}}
    assert resolved(arguments) == arguments


# --- Bounds --------------------------------------------------------------------------------------


@pytest.mark.threat("R18")
@pytest.mark.checklist("A15")
def test_references_do_not_make_a_request_larger_than_could_be_sent() -> None:
    echoed = {"text": "x" * 600, "many": [{}] * 600, "named": {"x" * 600: 1}}
    long: list[Response] = [("Core/echo", echoed, "c0")]
    for path in ("/text", "/many", "/named", ""):
        arguments = {f"#{n}": referring(path, "Core/echo", "c0")["#ids"] for n in range(10)}
        one = {"#0": arguments["#0"]}
        assert list(resolved(one, long, max_size_request=3000)) == ["0"]
        with pytest.raises(MethodError, match="too large"):
            resolved(arguments, long, max_size_request=3000)


def test_steps_of_a_reference_that_selects_nothing_are_paid_for() -> None:
    empty: list[Response] = [("Core/echo", {"list": [{"ids": []}] * 100}, "c0")]
    path = referring("/list/*/ids", "Core/echo", "c0")["#ids"]
    with pytest.raises(MethodError, match="too large"):
        resolved({f"#{n}": path for n in range(100)}, empty, max_size_request=5000)


def test_references_do_not_make_a_request_deeper_than_could_be_sent() -> None:
    nested: list[Response] = [("Core/echo", {"a": [[{"b": 1}]]}, "c0")]
    reference = referring("/a", "Core/echo", "c0")
    assert resolved(reference, nested, max_json_depth=3) == {"ids": [[{"b": 1}]]}
    with pytest.raises(MethodError, match="too deep"):
        resolved(reference, nested, max_json_depth=2)


@pytest.mark.threat("R18")
def test_doubling_by_references_to_references_ends() -> None:
    budget = Budget(Limits(max_size_request=100_000))
    responses: list[Response] = [("Core/echo", {"a": ["x"] * 100}, "c0")]

    def double(times: int) -> None:
        for call in range(times):
            reference = referring("", "Core/echo", f"c{call}")["#ids"]
            echoed = resolve({"#a": reference, "#b": reference}, responses, budget)
            responses.append(("Core/echo", echoed, f"c{call + 1}"))

    with pytest.raises(MethodError, match="too large"):
        double(31)


# --- Anything ------------------------------------------------------------------------------------

names = st.text(st.sampled_from("ab*~/0"), max_size=3)
values = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(names, items, max_size=3),
    max_leaves=20,
)
paths = st.text(st.sampled_from("/*~01ab-"), max_size=10)


@given(values, paths, st.integers(0, 300))
def test_any_path_gives_a_value_or_a_method_error(value: Any, path: str, size: int) -> None:
    responses: list[Response] = [("Foo/get", {"": value}, "t1")]
    outcome = "resolved"
    try:
        resolved(referring(path), responses, max_size_request=size)
    except MethodError as error:
        outcome = error.type
    assert outcome in {"resolved", "invalidResultReference"}


@given(values | st.fixed_dictionaries({"resultOf": values, "name": values, "path": values}))
def test_any_reference_gives_a_value_or_a_method_error(reference: Any) -> None:
    assert error_type({"#ids": reference}) == "invalidResultReference"


def places(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every value inside `value` with the JSON Pointer to it."""
    inside: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inside = [(k.replace("~", "~0").replace("/", "~1"), v) for k, v in value.items()]
    elif isinstance(value, list):
        inside = [(str(index), item) for index, item in enumerate(value)]
    return [(path, value), *(p for k, v in inside for p in places(v, f"{path}/{k}"))]


@given(st.dictionaries(names, values, max_size=3))
def test_every_value_is_reached_by_its_pointer(arguments: dict[str, Any]) -> None:
    for path, value in places(arguments):
        found = resolved(referring(path), [("Foo/get", arguments, "t1")])["ids"]
        assert found == value
