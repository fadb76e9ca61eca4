"""RFC 8620 §1.2-1.4, §5: kinds of values, and declarations that check themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.jmap.kinds import (
    BOOLEAN,
    ID,
    ID_LIST,
    INT,
    OBJECT,
    STRING,
    STRING_LIST,
    UNSIGNED_INT,
    UTC_DATE,
    Kind,
    list_of,
    map_of,
    nullable,
    set_of,
)
from gateway.jmap.spec import (
    Argument,
    Condition,
    Copy,
    DataType,
    Get,
    Property,
    Query,
    Set,
    Settable,
    Sort,
)
from tests.jmap.folders import FOLDER, copied, opened
from tests.jmap.foos import FOO, NAME, SIZE, load, run

ACCEPTED: list[tuple[Kind, list[object], list[object]]] = [
    (BOOLEAN, [True, False], [0, 1, None, "true"]),
    (STRING, ["", "a"], [None, 1, ["a"]]),
    (ID, ["a", "A-_9", "x" * 255], ["", "x" * 256, "a.b", "a=", "ä", "a\n", "٣", 1, None]),
    (INT, [0, -1, 2**53 - 1, 1 - 2**53], [2**53, -(2**53), 1.0, 0.5, True, "1", None]),
    (UNSIGNED_INT, [0, 2**53 - 1], [-1, 2**53, 1.0, True, "1", None]),
    (
        UTC_DATE,
        ["2014-10-30T06:12:00Z", "2014-10-30T06:12:00.123Z", "2016-12-31T23:59:60Z"],
        [
            "2014-10-30T14:12:00+08:00",
            "2014-10-30t06:12:00z",
            "2014-10-30 06:12:00Z",
            "2014-02-30T06:12:00Z",
            "2014-10-30T24:12:00Z",
            "2014-10-30T06:12:61Z",
            "2014-10-30T06:12Z",
            "2014-10-30",
            "２０１４-10-30T06:12:00Z",
            1414649520,
            None,
        ],
    ),
    (OBJECT, [{}, {"a": 1}], [[], None, "{}"]),
    (STRING_LIST, [[], ["a", ""]], [["a", None], "a", None, {}]),
    (ID_LIST, [[], ["a"]], [[""], ["a", 1]]),
    (nullable(INT), [None, 1], ["", False]),
    (list_of(nullable(ID)), [[None, "a"]], [[""]]),
    (map_of(ID, INT), [{}, {"a": 1}], [{"": 1}, {"a": "1"}, [], None]),
    (set_of(ID), [{}, {"a": True}], [{"a!": True}, {"a": 1}, {"a": False}, ["a"], None]),
]


@pytest.mark.checklist("A03", "A05")
@pytest.mark.parametrize(("kind", "good", "bad"), ACCEPTED, ids=[row[0].name for row in ACCEPTED])
def test_kind_accepts_exactly_its_values(kind: Kind, good: list[object], bad: list[object]) -> None:
    assert [value for value in good if not kind.accepts(value)] == []
    assert [value for value in bad if kind.accepts(value)] == []


def test_kinds_are_named_as_in_the_rfc() -> None:
    assert nullable(list_of(ID)).name == "Id[]|null"
    assert set_of(ID).name == "Id[Boolean]"


GET = Get(load, sources=NAME)
QUERY = Query(run, conditions=(), sorts=())

CONTRADICTIONS: dict[str, Callable[[], object]] = {
    "no method": lambda: DataType("Foo", "uri", "", ()),
    "declared twice, property": lambda: replace(FOO, properties=FOO.properties * 2),
    "'id'": lambda: replace(FOO, properties=(Property("id", frozenset()),)),
    "does not read: ['size']": lambda: DataType(
        "Foo", "uri", "", (Property("name", NAME), Property("size", SIZE)), get=GET
    ),
    "no property needs: ['name']": lambda: DataType("Foo", "uri", "", (), get=GET),
    "does not read: ['name']": lambda: DataType(
        "Foo", "uri", "", (Property("name", NAME),), query=QUERY
    ),
    "argument of /get: ['ids']": lambda: replace(GET, arguments=(Argument("ids", ID_LIST),)),
    "argument of /query: ['sort']": lambda: replace(QUERY, arguments=(Argument("sort", INT),)),
    "argument of /queryChanges: ['upToId']": lambda: replace(
        QUERY, arguments=(Argument("upToId", INT, 0),)
    ),
    "filter condition: ['operator']": lambda: replace(
        QUERY, conditions=(Condition("operator", STRING, None),)
    ),
    "filter condition: ['name']": lambda: replace(
        QUERY, conditions=(Condition("name", STRING, None), Condition("name", INT, None))
    ),
    "sort: ['size']": lambda: replace(QUERY, sorts=(Sort("size", None), Sort("size", None))),
    "Comparator by size: ['collation']": lambda: replace(
        QUERY, sorts=(Sort("size", None, needs=frozenset({"collation"})),)
    ),
    "not advertised: ['i;octet']": lambda: replace(QUERY, collations=("i;octet",)),
    "default collation is missing": lambda: replace(QUERY, collations=("i;ascii-casemap",)),
    "is no Boolean": lambda: Argument("fetchAll", BOOLEAN, default=1),
    "is no UnsignedInt": lambda: Settable(UNSIGNED_INT, initial=-1),
    "there is no /set: ['icon', ": lambda: replace(FOLDER, set=None, copy=None),
    "not settable, but in copies: ['size']": lambda: replace(
        FOLDER, copy=Copy(copied, frozenset({"name", "size"}))
    ),
    "argument of /set: ['create']": lambda: Set(opened, (Argument("create", nullable(STRING)),)),
}


@pytest.mark.parametrize("problem", CONTRADICTIONS)
def test_declaration_that_contradicts_itself_fails_when_it_is_made(problem: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared below
        CONTRADICTIONS[problem]()
    assert problem in str(caught.value)


def test_type_may_have_any_one_method_alone() -> None:
    for declared in (
        {"get": Get(load, frozenset())},
        {"changes": FOO.changes},
        {"query": QUERY},
        {"set": FOLDER.set},
    ):
        assert DataType("Foo", "uri", "", (), **declared).name == "Foo"


def test_source_that_only_made_up_properties_need_may_be_declared() -> None:
    get = Get(load, sources=NAME | SIZE, dynamic=lambda name: Property(name, SIZE))
    assert DataType("Foo", "uri", "", (Property("name", NAME),), get=get).get is get
