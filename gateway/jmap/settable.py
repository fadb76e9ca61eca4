"""RFC 8620 §5.3, §5.4: what of a data type can be set and copied, as values.

/set checks, completes and resolves what the client sent; the type itself is given whole objects
and changes, and only makes them so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

from gateway.jmap.arguments import Argument, distinct
from gateway.jmap.call import Call
from gateway.jmap.errors import SetError
from gateway.jmap.kinds import BOOLEAN, ID, OBJECT, STRING, STRING_LIST, Kind, map_of, nullable
from gateway.jmap.limits import Limits


class Initial(Enum):
    """What a property is in a new object that the client gave no value for, if it has none."""

    REQUIRED = "the client must give one"
    ABSENT = "the type finds one itself: the property is left out of the object"


REQUIRED: Final = Initial.REQUIRED
ABSENT: Final = Initial.ABSENT


@dataclass(frozen=True, slots=True)
class Settable:
    """How a property can be set: to values of `kind`, and not after creation if `immutable`.

    `initial` is the default value, or an Initial. With `refers`, the value (an Id, null, or a map
    whose member names are Ids) refers to other objects, by their ids or by "#creationId";
    `refers_within`: so does each member of that name, anywhere in the value.
    """

    kind: Kind
    initial: Any = REQUIRED
    immutable: bool = False
    refers: bool = False
    refers_within: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.initial, Initial) and not self.kind.accepts(self.initial):
            raise ValueError(f"default {self.initial!r} is no {self.kind.name}")

    @property
    def default(self) -> bool:
        """Whether there is a default value."""
        return not isinstance(self.initial, Initial)


@dataclass(frozen=True, slots=True)
class Change:
    """An update: the properties whose values differ, as they are and as they are to be.

    Every value in `after` is of the kind of its property. The values are not to be changed in
    place: they may be shared.
    """

    before: dict[str, Any]
    after: dict[str, Any]


class Setting(Protocol):
    """A /set under way on one account.

    What is done is known to be done: an object whose fate can not be found out gets a SetError
    serverUnavailable or serverFail, never success. Every id or creation id that is given gets an
    answer. A MethodError from a method is the SetError of all objects it was given.
    """

    @property
    def state(self) -> str:
        """The state of the type, as /get would give it now."""
        ...

    async def current(
        self, ids: Sequence[str], properties: frozenset[str]
    ) -> dict[str, dict[str, Any]]:
        """These properties of those of the objects that exist, as /get gives them, by id."""
        ...

    async def create(
        self, objects: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any] | SetError]:
        """Create objects, by creation id, complete with their defaults.

        None refers to another of the same call. The result is what the client is to be told
        besides what it sent and the defaults: the "id", and what the server set or did otherwise.
        """
        ...

    async def update(
        self, changes: dict[str, Change]
    ) -> dict[str, dict[str, Any] | SetError | None]:
        """Update objects, by id, each wholly or not at all.

        All of them together are to be valid in the end, not each on its own. The result is what
        changed beyond what was asked for, or None.
        """
        ...

    async def destroy(self, ids: Sequence[str]) -> dict[str, SetError | None]:
        """Destroy objects; ids that do not exist (any more) get SetError notFound."""
        ...


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the objects of a /set: by creation id, or by id.

    What the client is told of those that were created or updated may be added to.
    """

    created: dict[str, dict[str, Any] | SetError]
    updated: dict[str, dict[str, Any] | SetError | None]
    destroyed: dict[str, SetError | None]

    @property
    def is_success(self) -> bool:
        """Whether everything was done."""
        outcomes = (*self.created.values(), *self.updated.values(), *self.destroyed.values())
        return not any(isinstance(outcome, SetError) for outcome in outcomes)


SET_ARGUMENTS: Final = (
    Argument("accountId", STRING),
    Argument("ifInState", nullable(STRING)),
    Argument("create", nullable(map_of(ID, OBJECT))),
    Argument("update", nullable(map_of(STRING, OBJECT))),
    Argument("destroy", nullable(STRING_LIST)),
)
COPY_ARGUMENTS: Final = (
    Argument("fromAccountId", STRING),
    Argument("ifFromInState", nullable(STRING)),
    Argument("accountId", STRING),
    Argument("ifInState", nullable(STRING)),
    Argument("create", map_of(ID, OBJECT)),
    Argument("onSuccessDestroyOriginal", BOOLEAN, False),
    Argument("destroyFromIfInState", nullable(STRING)),
)


@dataclass(frozen=True, slots=True)
class Set:
    """RFC 8620 §5.3: /set of a type.

    `open` begins it on an account; inside, nobody else of this server changes the account. It is
    given the type's own `arguments`, complete with their defaults, and "ifInState": /set itself
    compares it, but where it is given, no later change of anybody else may be written over.
    `extra` says which names besides those of the properties a new object may have ("header:...");
    their values are not checked. `after` is what the type does when all of that is done
    (onSuccess...), before the new state is told; it gets the Setting and the arguments, too, and
    raises nothing.
    """

    open: Callable[[Any, dict[str, Any], Limits], AbstractAsyncContextManager[Setting]]
    arguments: tuple[Argument, ...] = ()
    extra: Callable[[str], bool] | None = None
    after: Callable[[Any, dict[str, Any], Settled, Call], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        distinct("argument of /set", [a.name for a in SET_ARGUMENTS + self.arguments])


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """A checked /copy.

    `objects` are by creation id; each has the "id" of its original in `from_account`, and the
    properties that are to be otherwise in the copy.
    """

    from_account: Any
    account: Any
    objects: dict[str, dict[str, Any]]
    limits: Limits
    if_from_in_state: str | None
    if_in_state: str | None


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What became of a /copy: by creation id, what the server set ("id" at least), or an error.

    The states are those of the account that was copied to.
    """

    old_state: str | None
    new_state: str
    created: dict[str, dict[str, Any] | SetError]


@dataclass(frozen=True, slots=True)
class Copy:
    """RFC 8620 §5.4: /copy of a type; `properties` are those that a copy may have otherwise.

    `run` raises MethodError stateMismatch for either state; a SetError notFound is for an
    original that does not exist, alreadyExists has the further member existingId.
    """

    run: Callable[[CopyRequest], Awaitable[CopyResult]]
    properties: frozenset[str]
