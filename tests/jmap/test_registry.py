"""RFC 8620 §1.8, §3.3, §3.6.2: which methods a request may call, with which account."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.jmap.call import WEBSOCKET
from gateway.jmap.errors import MethodError
from gateway.jmap.limits import Limits
from gateway.jmap.methods.echo import ECHO
from gateway.jmap.registry import AccountRef, Call, Method, Registry
from gateway.jmap.spec import CORE
from tests.jmap.foos import FOO, FOO_URI, Foos, reference

MAIL = "urn:ietf:params:jmap:mail"
SUBMISSION = "urn:ietf:params:jmap:submission"
FAMILY = [SUBMISSION, *(f"urn:ietf:params:jmap:{n}" for n in ("vacationresponse", "quota", "blob"))]

REGISTRY = Registry(
    [FOO, replace(FOO, name="Bar", capability=MAIL)],
    [ECHO, *(replace(ECHO, name=f"Of/{uri}", capability=uri) for uri in FAMILY)],
)


def found(name: str, *using: str) -> Method | str:
    try:
        return REGISTRY.method(name, REGISTRY.opened(frozenset(using)))
    except MethodError as error:
        return error.type


def test_capabilities_are_those_of_the_methods_and_core() -> None:
    assert REGISTRY.capabilities == {CORE, WEBSOCKET, FOO_URI, MAIL, *FAMILY}
    assert Registry([]).capabilities == {CORE, WEBSOCKET}


@pytest.mark.checklist("A12", "C21")
@pytest.mark.parametrize("verb", ["get", "changes", "query", "queryChanges"])
def test_methods_of_a_type_exist_when_its_capability_is_used(verb: str) -> None:
    name = f"Foo/{verb}"
    assert isinstance(found(name, FOO_URI), Method)
    assert isinstance(found(name, CORE, FOO_URI), Method)
    assert found(name, CORE) == "unknownMethod"
    assert found(name, MAIL) == "unknownMethod"


@pytest.mark.checklist("C21")
@pytest.mark.parametrize("name", ["Foo/set", "Foo", "foo/get", "", "Core/Echo"])
def test_method_nobody_declared_is_unknown(name: str) -> None:
    assert found(name, *REGISTRY.capabilities) == "unknownMethod"


@pytest.mark.checklist("C14")
@pytest.mark.parametrize("name", ["Core/echo", "Foo/get", "Bar/get"])
def test_empty_using_opens_nothing(name: str) -> None:
    assert found(name) == "unknownMethod"


@pytest.mark.parametrize("using", [CORE, FOO_URI, MAIL, SUBMISSION])
def test_any_capability_opens_core(using: str) -> None:
    assert isinstance(found("Core/echo", using), Method)


@pytest.mark.parametrize("uri", FAMILY)
def test_mail_opens_the_family_that_mail_clients_work_with(uri: str) -> None:
    assert isinstance(found(f"Of/{uri}", MAIL), Method)
    assert isinstance(found(f"Of/{uri}", uri), Method)
    assert found(f"Of/{uri}", CORE, FOO_URI) == "unknownMethod"
    assert found("Bar/get", uri) == "unknownMethod"


def test_two_methods_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="Foo/get is declared twice"):
        Registry([FOO, FOO])
    with pytest.raises(ValueError, match="Core/echo is declared twice"):
        Registry([], [ECHO, Method("Core/echo", FOO_URI, ECHO.run)])


def test_type_has_the_methods_it_declares() -> None:
    assert FOO.query is not None
    less = Registry(
        [
            replace(FOO, changes=None, query=None),
            replace(FOO, name="Bar", query=replace(FOO.query, changes=None)),
        ]
    )
    for name in ("Foo/changes", "Foo/query", "Foo/queryChanges", "Bar/queryChanges"):
        with pytest.raises(MethodError, match="unknownMethod"):
            less.method(name, frozenset({FOO_URI}))
    for name in ("Foo/get", "Bar/changes", "Bar/query"):
        assert less.method(name, frozenset({FOO_URI})).name == name


# --- Accounts ------------------------------------------------------------------------------------


def context(**accounts: AccountRef) -> Call:
    return Call(accounts, Limits(), {})


async def refused(arguments: dict[str, Any], call: Call) -> str:
    method = REGISTRY.method("Foo/get", frozenset({FOO_URI}))
    with pytest.raises(MethodError) as caught:
        await method.run(call, arguments)
    return caught.value.type


async def test_methods_work_on_the_account_that_is_named() -> None:
    first, second = Foos.of(1), Foos.of(2)
    call = context(A1=reference(first), A2=reference(second))
    for name, expected in (("Foo/get", "list"), ("Foo/query", "ids")):
        method = REGISTRY.method(name, frozenset({FOO_URI}))
        response = await method.run(call, {"accountId": "A2"})
        assert response["accountId"] == "A2"
        assert len(response[expected]) == 2
    assert (first.gets, first.queries) == ([], [])


@pytest.mark.checklist("C22")
@pytest.mark.parametrize("arguments", [{}, {"accountId": None}, {"accountId": 1}])
async def test_missing_account_id_is_invalid(arguments: dict[str, Any]) -> None:
    assert await refused(arguments, context(A1=reference(Foos()))) == "invalidArguments"


@pytest.mark.checklist("C22")
@pytest.mark.parametrize("account_id", ["A2", "", "a1", "A1 "])
async def test_account_of_nobody_or_somebody_else_is_not_found(account_id: str) -> None:
    call = context(A1=reference(Foos()))
    assert await refused({"accountId": account_id}, call) == "accountNotFound"


@pytest.mark.checklist("C23")
async def test_account_without_the_capability_is_told() -> None:
    call = context(A1=reference(Foos(), capabilities=frozenset({MAIL})))
    assert await refused({"accountId": "A1"}, call) == "accountNotSupportedByMethod"
