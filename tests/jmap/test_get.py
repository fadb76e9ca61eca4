"""RFC 8620 §5.1: Foo/get."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.jmap.errors import MethodError
from gateway.jmap.limits import Limits
from gateway.jmap.methods.get import get
from gateway.jmap.spec import DataType, GetRequest
from tests.jmap.foos import FOO, LOG, NAME, SIZE, Foos, under


async def got(account: Foos, data_type: DataType = FOO, **arguments: Any) -> dict[str, Any]:
    return await get(data_type, account, {"accountId": "A1"} | arguments, under())


async def refused(
    arguments: dict[str, Any], limits: Limits | None = None, data_type: DataType = FOO
) -> str:
    with pytest.raises(MethodError) as caught:
        await get(data_type, Foos.of(5), {"accountId": "A1"} | arguments, under(limits))
    return caught.value.type


@pytest.mark.checklist("D01", "D07", "D09", "C09")
@pytest.mark.parametrize("arguments", [{}, {"ids": None, "properties": None, "fetchAll": False}])
async def test_left_out_arguments_are_their_defaults(arguments: dict[str, Any]) -> None:
    account = Foos.of(2)
    assert await got(account, **arguments) == {
        "accountId": "A1",
        "state": "s1",
        "list": [
            {"id": "f0", "name": "foo 0", "size": 0},
            {"id": "f1", "name": "foo 1", "size": 1},
        ],
        "notFound": [],
    }
    assert account.gets == [
        GetRequest(None, ("id", "name", "size"), NAME | SIZE, {"fetchAll": False})
    ]


@pytest.mark.checklist("D02", "D07")
async def test_empty_ids_give_an_empty_list_and_the_state() -> None:
    account = Foos.of(2)
    response = await got(account, ids=[])
    assert (response["list"], response["notFound"], response["state"]) == ([], [], "s1")
    assert account.gets[0].ids == ()


@pytest.mark.checklist("D06", "D07")
async def test_each_id_is_answered_once_in_the_order_asked() -> None:
    account = Foos.of(3)
    response = await got(account, ids=["f2", "x", "f0", "f2", "not an id!", "x", ""])
    assert [record["id"] for record in response["list"]] == ["f2", "f0"]
    assert response["notFound"] == ["x", "not an id!", ""]
    assert account.gets[0].ids == ("f2", "x", "f0", "not an id!", "")


@pytest.mark.checklist("D04")
@pytest.mark.parametrize(
    ("asked", "given", "sources"),
    [
        ([], ("id",), frozenset[str]()),
        (["id"], ("id",), frozenset[str]()),
        (["name"], ("id", "name"), NAME),
        (["log", "id", "name", "log"], ("id", "log", "name"), LOG | SIZE | NAME),
        (["x:made-up", "size"], ("id", "x:made-up", "size"), LOG | SIZE),
    ],
)
async def test_exactly_the_wanted_properties_are_read_and_given(
    asked: list[str], given: tuple[str, ...], sources: frozenset[str]
) -> None:
    account = Foos.of(1)
    response = await got(account, ids=["f0"], properties=asked)
    assert [tuple(record) for record in response["list"]] == [given]
    assert (account.gets[0].properties, account.gets[0].sources) == (given, sources)


@pytest.mark.checklist("D05", "C20")
@pytest.mark.parametrize(
    "arguments",
    [
        {"properties": ["name", "colour"]},
        {"properties": ["Name"]},
        {"properties": [""]},
        {"properties": "name"},
        {"properties": [1]},
        {"ids": "f0"},
        {"ids": [1]},
        {"ids": [None]},
        {"ids": {"f0": True}},
        {"accountId": None},
        {"fetchAll": None},
        {"fetchAll": 1},
        {"colour": "red"},
    ],
)
async def test_bad_argument_is_invalid(arguments: dict[str, Any]) -> None:
    assert await refused(arguments) == "invalidArguments"


async def test_invalid_arguments_are_named() -> None:
    with pytest.raises(MethodError, match='Unknown arguments: "a", "b"'):
        await got(Foos(), b=1, a=2)
    with pytest.raises(MethodError, match='"ids" must be of type'):
        await got(Foos(), ids=7)
    with pytest.raises(MethodError, match='"accountId" is missing'):
        await get(FOO, Foos(), {}, under())
    with pytest.raises(MethodError, match='no properties "colour"'):
        await got(Foos(), properties=["colour"])


async def test_type_may_refuse_a_made_up_property_itself() -> None:
    assert await refused({"properties": ["x:forbidden"]}) == "forbidden"


@pytest.mark.checklist("D03")
async def test_too_many_ids_are_refused() -> None:
    limits = Limits(max_objects_in_get=3)
    arguments = {"accountId": "A1", "ids": ["a", "b", "c"]}
    assert (await get(FOO, Foos(), arguments, under(limits)))["notFound"] == ["a", "b", "c"]
    assert await refused({"ids": ["a", "b", "c", "d"]}, limits) == "requestTooLarge"


@pytest.mark.checklist("D01")
async def test_all_ids_are_refused_when_there_are_too_many() -> None:
    assert await refused({}, Limits(max_objects_in_get=4)) == "requestTooLarge"
    assert len((await got(Foos.of(5)))["list"]) == 5


@pytest.mark.checklist("D01")
async def test_all_ids_are_refused_where_the_type_does_not_allow_it() -> None:
    assert FOO.get is not None
    listed = replace(FOO, get=replace(FOO.get, all_ids=False))
    assert await refused({}, data_type=listed) == "requestTooLarge"
    assert (await got(Foos.of(1), listed, ids=["f0"]))["list"]


@pytest.mark.checklist("A15")
async def test_number_of_properties_is_bounded() -> None:
    names = [f"x:{n}" for n in range(3)]
    assert await refused({"properties": names}, Limits(max_properties_in_get=2)) == (
        "requestTooLarge"
    )
    assert await got(Foos(), properties=names)


async def test_type_without_get_has_no_such_method() -> None:
    only_query = replace(FOO, get=None, properties=())
    assert await refused({}, data_type=only_query) == "unknownMethod"
