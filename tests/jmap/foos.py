"""RFC 8620 §5: a small data type in memory, as the RFC's own examples call it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.jmap.call import Call
from gateway.jmap.errors import MethodError, cannot_calculate_changes
from gateway.jmap.kinds import BOOLEAN, STRING, UNSIGNED_INT, nullable
from gateway.jmap.limits import Limits
from gateway.jmap.registry import AccountRef
from gateway.jmap.spec import (
    Argument,
    Changes,
    ChangesRequest,
    ChangesResult,
    Condition,
    DataType,
    Get,
    GetRequest,
    GetResult,
    Property,
    Query,
    QueryChangesRequest,
    QueryChangesResult,
    QueryRequest,
    Sort,
)

FOO_URI = "https://gateway.example/foo"
NAME, SIZE, LOG = (frozenset({source}) for source in ("name", "size", "log"))
UNCHANGED = ChangesResult("s0", "s1", False, [], [], [])
SAME_RESULTS = QueryChangesResult("q1", None, [], [])


@dataclass
class Listed:
    """Results that are a list; `asked` are the methods that were called."""

    ids: Sequence[str]
    query_state: str = "q1"
    can_calculate_changes: bool = True
    asked: list[str] = field(default_factory=list)

    async def total(self) -> int:
        self.asked.append("total")
        return len(self.ids)

    async def slice(self, start: int, stop: int | None) -> list[str]:
        self.asked.append("slice")
        return list(self.ids[start:stop])

    async def index(self, id: str) -> int | None:
        self.asked.append("index")
        return self.ids.index(id) if id in self.ids else None


@dataclass
class Foos:
    """An account: its objects by id, what it was asked, and what it is to fail with.

    `changed` is what happened since the state "s0", `requeried` since the query state "q0".
    """

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: ChangesResult = UNCHANGED
    requeried: QueryChangesResult = SAME_RESULTS
    gets: list[GetRequest] = field(default_factory=list)
    queries: list[QueryRequest] = field(default_factory=list)
    syncs: list[ChangesRequest | QueryChangesRequest] = field(default_factory=list)
    failure: BaseException | None = None

    @classmethod
    def of(cls, count: int) -> Foos:
        return cls({f"f{n}": {"name": f"foo {n}", "size": n, "log": []} for n in range(count)})


async def load(account: Foos, request: GetRequest) -> GetResult:
    account.gets.append(request)
    if account.failure is not None:
        raise account.failure
    ids = account.records if request.ids is None else request.ids
    return GetResult(
        "s1",
        {
            id: {
                name: id if name == "id" else account.records[id].get(name)
                for name in request.properties
            }
            for id in ids
            if id in account.records
        },
    )


async def run(account: Foos, request: QueryRequest) -> Listed:
    account.queries.append(request)
    return Listed(list(account.records))


async def changes(account: Foos, request: ChangesRequest) -> ChangesResult:
    account.syncs.append(request)
    if request.since_state != "s0":
        raise cannot_calculate_changes()
    return account.changed


async def query_changes(account: Foos, request: QueryChangesRequest) -> QueryChangesResult:
    account.syncs.append(request)
    if request.since_query_state != "q0":
        raise cannot_calculate_changes()
    return account.requeried


def header(name: str) -> Property | None:
    """Properties whose names the client makes up."""
    if name == "x:forbidden":
        raise MethodError("forbidden")
    return Property(name, LOG) if name.startswith("x:") else None


FOO = DataType(
    name="Foo",
    capability=FOO_URI,
    rfc="RFC 8620 §5",
    properties=(
        Property("name", NAME),
        Property("size", SIZE),
        Property("log", LOG | SIZE, default=False),
    ),
    get=Get(
        load,
        sources=NAME | SIZE | LOG,
        arguments=(Argument("fetchAll", BOOLEAN, default=False),),
        dynamic=header,
    ),
    changes=Changes(changes),
    query=Query(
        run,
        conditions=(
            Condition("name", STRING, None),
            Condition("minSize", UNSIGNED_INT, None),
            Condition("parent", nullable(STRING), None),
        ),
        sorts=(Sort("size", None), Sort("tagged", None, needs=frozenset({"tag"}))),
        arguments=(Argument("collapse", BOOLEAN, default=False),),
        changes=query_changes,
    ),
)


def reference(account: Foos, *, capabilities: frozenset[str] = frozenset({FOO_URI})) -> AccountRef:
    return AccountRef(account, capabilities, is_read_only=False)


def under(limits: Limits | None = None) -> Call:
    """A call under these limits, of a request that may use nothing in particular."""
    return Call({}, limits or Limits(), {})
