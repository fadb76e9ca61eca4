"""RFC 8620 §1, §5: what a data type is, as values; its standard methods are derived from them.

A type of a specification is one `DataType(...)`: its properties with their sources, its filter
conditions, its sorts, and one function per method that does what only this type can do.
Everything a standard method shares between types is in `gateway.jmap.methods`. A declaration is
checked when it is made, so a mistake in a table stops the program at start, not a request later.

A *source* is a name that a type chooses for something that must be read to fill a property (a
column of the index, an item of an IMAP FETCH). /get hands the union of the sources of the wanted
properties to the type's `load`, which thus never derives them from property names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gateway.jmap.arguments import Argument, distinct
from gateway.jmap.call import CORE, Call
from gateway.jmap.kinds import (
    BOOLEAN,
    INT,
    OBJECT,
    STRING,
    STRING_LIST,
    UNSIGNED_INT,
    Kind,
    list_of,
    nullable,
)
from gateway.jmap.settable import ABSENT, Copy, Set, Settable

# What is declared of a type, wherever that is defined.
__all__ = ["ABSENT", "CORE", "Argument", "Call", "Copy", "Set", "Settable"]

# --- RFC 8620 §5: what a type declares ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Property:
    """A property of the objects of a type (all but `id`, which every type has).

    `sources` is what must be read to fill it; `default` says whether /get returns it when the
    client names no properties; without `settable` only the server sets it.
    """

    name: str
    sources: frozenset[str]
    default: bool = True
    settable: Settable | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A property of a type's FilterCondition; `test` is for the type's own `run`."""

    name: str
    kind: Kind
    test: Any


@dataclass(frozen=True, slots=True)
class Sort:
    """A property a Comparator may name; `key` is for the type's own `run`.

    `needs` names the further members (Strings) such a Comparator must have.
    """

    name: str
    key: Any
    needs: frozenset[str] = frozenset()


# The arguments of the methods themselves. An id that is no Id is not refused: there is no such
# object, and every method has an answer for that.
ACCOUNT_ID: Final = Argument("accountId", STRING)
GET_ARGUMENTS: Final = (
    ACCOUNT_ID,
    Argument("ids", nullable(STRING_LIST)),
    Argument("properties", nullable(STRING_LIST)),
)
CHANGES_ARGUMENTS: Final = (
    ACCOUNT_ID,
    Argument("sinceState", STRING),
    Argument("maxChanges", nullable(UNSIGNED_INT)),
)
QUERY_ARGUMENTS: Final = (
    ACCOUNT_ID,
    Argument("filter", nullable(OBJECT)),
    Argument("sort", nullable(list_of(OBJECT))),
    Argument("position", INT, 0),
    Argument("anchor", nullable(STRING)),
    Argument("anchorOffset", INT, 0),
    Argument("limit", nullable(UNSIGNED_INT)),
    Argument("calculateTotal", BOOLEAN, False),
)
QUERY_CHANGES_ARGUMENTS: Final = (
    ACCOUNT_ID,
    Argument("filter", nullable(OBJECT)),
    Argument("sort", nullable(list_of(OBJECT))),
    Argument("sinceQueryState", STRING),
    Argument("maxChanges", nullable(UNSIGNED_INT)),
    Argument("upToId", nullable(STRING)),
    Argument("calculateTotal", BOOLEAN, False),
)
COMPARATOR_MEMBERS: Final = ("property", "isAscending", "collation")

# RFC 8620 §5.5: both ignore case, the first for all of Unicode (RFC 5051), the second for ASCII
# (RFC 4790 §9.2). Without a collation in the Comparator, the first is meant.
COLLATIONS: Final = ("i;unicode-casemap", "i;ascii-casemap")


@dataclass(frozen=True, slots=True)
class Get:
    """RFC 8620 §5.1: /get of a type.

    `load` reads the objects of an account; `sources` are all it knows to read. `all_ids` says
    whether `ids: null` is allowed. `dynamic` makes properties out of names that no table can
    list ("header:..."); None from it means that the name is none.
    """

    load: Callable[[Any, GetRequest], Awaitable[GetResult]]
    sources: frozenset[str]
    all_ids: bool = True
    arguments: tuple[Argument, ...] = ()
    dynamic: Callable[[str], Property | None] | None = None

    def __post_init__(self) -> None:
        distinct("argument of /get", [a.name for a in GET_ARGUMENTS + self.arguments])


@dataclass(frozen=True, slots=True)
class Changes:
    """RFC 8620 §5.2: /changes of a type.

    `run` raises MethodError cannotCalculateChanges for a state it does not know.
    """

    run: Callable[[Any, ChangesRequest], Awaitable[ChangesResult]]


@dataclass(frozen=True, slots=True)
class Query:
    """RFC 8620 §5.5, §5.6: /query of a type, and /queryChanges if there is `changes`.

    `run` evaluates a checked filter and sort. `changes` says how the results differ from those at
    an earlier query state; it raises MethodError cannotCalculateChanges for a state that it does
    not know or that belongs to another query. `arguments` are the type's own, of both methods.
    """

    run: Callable[[Any, QueryRequest], Awaitable[Results]]
    conditions: tuple[Condition, ...]
    sorts: tuple[Sort, ...]
    arguments: tuple[Argument, ...] = ()
    collations: tuple[str, ...] = COLLATIONS
    changes: Callable[[Any, QueryChangesRequest], Awaitable[QueryChangesResult]] | None = None

    def __post_init__(self) -> None:
        distinct("argument of /query", [a.name for a in QUERY_ARGUMENTS + self.arguments])
        own = [a.name for a in QUERY_CHANGES_ARGUMENTS + self.arguments]
        distinct("argument of /queryChanges", own)
        # A FilterCondition must not have an "operator" property.
        distinct("filter condition", ["operator", *(c.name for c in self.conditions)])
        distinct("sort", [s.name for s in self.sorts])
        for sort in self.sorts:
            distinct(f"member of a Comparator by {sort.name}", [*COMPARATOR_MEMBERS, *sort.needs])
        if unknown := set(self.collations) - set(COLLATIONS):
            raise ValueError(f"collations that are not advertised: {sorted(unknown)}")
        if COLLATIONS[0] not in self.collations:
            raise ValueError(f"the default collation is missing: {COLLATIONS[0]}")


@dataclass(frozen=True, slots=True)
class Special:
    """A method that no other type has, as Email/parse: the `verb` is "parse".

    `run` gets the account, the checked arguments (complete with their defaults) and the call. It
    returns the arguments of the response, without accountId. With `writes` it may change the
    account, so it is not run on accounts that are read-only, and never interrupted.
    """

    verb: str
    arguments: tuple[Argument, ...]
    run: Callable[[Any, dict[str, Any], Call], Awaitable[dict[str, Any]]]
    writes: bool = False

    def __post_init__(self) -> None:
        names = ["accountId", *(argument.name for argument in self.arguments)]
        distinct(f"argument of /{self.verb}", names)


@dataclass(frozen=True, slots=True)
class DataType:
    """One data type of a specification; ValueError if the declaration contradicts itself.

    of_user: the objects are the user's and in no account (RFC 8620 §7.2). The methods then take no
    accountId and know no states; the type's functions get the user's own account.
    """

    name: str
    capability: str
    rfc: str
    properties: tuple[Property, ...]
    get: Get | None = None
    changes: Changes | None = None
    query: Query | None = None
    set: Set | None = None
    copy: Copy | None = None
    special: tuple[Special, ...] = ()
    of_user: bool = False

    def __post_init__(self) -> None:
        if not (self.get or self.changes or self.query or self.set or self.copy or self.special):
            raise ValueError(f"{self.name}: no method is declared")
        distinct(f"property of {self.name}", ["id", *(p.name for p in self.properties)])
        self._check_sources()
        self._check_settable()

    def _check_sources(self) -> None:
        """`load` reads every source, and a property needs every source that `load` reads.

        The second can not be known where `dynamic` makes properties.
        """
        wanted = frozenset[str]().union(*(p.sources for p in self.properties))
        read = self.get.sources if self.get is not None else frozenset[str]()
        if unread := wanted - read:
            raise ValueError(f"{self.name}: sources that /get does not read: {sorted(unread)}")
        dynamic = self.get is not None and self.get.dynamic is not None
        if not dynamic and (unwanted := read - wanted):
            raise ValueError(f"{self.name}: sources that no property needs: {sorted(unwanted)}")

    def _check_settable(self) -> None:
        """What can be set is set by /set, and /copy needs to know what may be set in a copy."""
        settable = {p.name for p in self.properties if p.settable is not None}
        if settable and self.set is None:
            raise ValueError(f"{self.name}: settable, but there is no /set: {sorted(settable)}")
        copied = self.copy.properties if self.copy is not None else frozenset[str]()
        if unknown := copied - settable:
            raise ValueError(f"{self.name}: not settable, but in copies: {sorted(unknown)}")


# --- What a standard method asks of a type, and what it gets -----------------------------------


@dataclass(frozen=True, slots=True)
class GetRequest:
    """A checked /get.

    `ids` are distinct and in the client's order; None stands for all. `properties` are distinct
    and begin with "id". `arguments` are the type's own, complete with their defaults. `opened` are
    the capabilities that the request may use.
    """

    ids: tuple[str, ...] | None
    properties: tuple[str, ...]
    sources: frozenset[str]
    arguments: dict[str, Any]
    opened: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class GetResult:
    """The objects found, each with exactly the wanted properties, by id.

    They are what the client gets, so of JSON values only (arrays as lists).
    `state` covers all data of the type in the account. The order of `records` is the order of
    the answer when all ids were asked for.
    """

    state: str
    records: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ChangesRequest:
    """A checked /changes. `max_changes` is at least 1 and at most what the server allows."""

    since_state: str
    max_changes: int


@dataclass(frozen=True, slots=True)
class ChangesResult:
    """What happened to the objects between `old_state`, which was asked for, and `new_state`.

    No id occurs twice, and there are at most `max_changes` of them. With `has_more_changes`,
    `new_state` is an intermediate state. `members` are further members of the response, such as
    updatedProperties (RFC 8621 §2.2).
    """

    old_state: str
    new_state: str
    has_more_changes: bool
    created: list[str]
    updated: list[str]
    destroyed: list[str]
    members: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FilterOperator:
    """RFC 8620 §5.5: `operator` is "AND", "OR" or "NOT" (none of the conditions match)."""

    operator: str
    conditions: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class FilterCondition:
    """RFC 8620 §5.5: matches what matches every one of `values` (condition name to value)."""

    values: dict[str, Any]


Filter = FilterOperator | FilterCondition


@dataclass(frozen=True, slots=True)
class Comparator:
    """RFC 8620 §5.5: one step of a sort; `extra` has the members named by `Sort.needs`."""

    property: str
    is_ascending: bool
    collation: str
    extra: dict[str, str]


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """A checked /query; `arguments` and `opened` as in a GetRequest."""

    filter: Filter | None
    sort: tuple[Comparator, ...]
    arguments: dict[str, Any]
    opened: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class QueryChangesRequest:
    """A checked /queryChanges; `query` is what must have been asked to get `since_query_state`.

    `max_changes` is the client's. It is compared with the result by the method itself, and is
    here for a type that can tell early that there are too many.
    """

    query: QueryRequest
    since_query_state: str
    max_changes: int | None
    up_to_id: str | None
    calculate_total: bool


@dataclass(frozen=True, slots=True)
class QueryChangesResult:
    """The difference of two results of one query; `gateway.jmap.differences` makes them.

    No id occurs twice in `removed`, none in `added`, which has the index of each in the new
    results, ascending. `total` may be None if it was not asked for.
    """

    new_query_state: str
    total: int | None
    removed: list[str]
    added: list[tuple[str, int]]


class Results(Protocol):
    """The ordered ids that match a query, as of one moment.

    Each method may cost something, so each is only asked when its answer is needed.
    """

    @property
    def query_state(self) -> str:
        """Differs whenever the ids or their order do. Asked for last, when all is known."""
        ...

    @property
    def can_calculate_changes(self) -> bool:
        """Whether /queryChanges can work for this filter and sort."""
        ...

    async def total(self) -> int:
        """How many ids match."""
        ...

    async def slice(self, start: int, stop: int | None) -> list[str]:
        """The ids from `start` up to, not including, `stop`; empty beyond the end."""
        ...

    async def index(self, id: str) -> int | None:
        """The position of an id, or None if it does not match."""
        ...
