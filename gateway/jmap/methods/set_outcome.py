"""RFC 8620 §5.3: what became of the objects of a /set or a /copy."""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from typing import Any, TypeVar

from gateway.jmap.errors import DefectiveResult, MethodError, SetError

T = TypeVar("T")

# By id, or by creation id: what the client is to be told of success, or why there is none.
Outcome = dict[str, T | SetError]


async def settled(work: Awaitable[Outcome[T]], asked: Collection[str], what: str) -> Outcome[T]:
    """The outcome of `work` for the objects in `asked`.

    A MethodError is the SetError of them all: there may be others in the same call that the
    client must be told of. Raises DefectiveResult if the outcome is of other objects.
    """
    try:
        outcome = await work
    except MethodError as error:
        set_error = SetError(error.type, error.description, **error.members)
        return dict.fromkeys(asked, set_error)
    if outcome.keys() != set(asked):
        raise DefectiveResult(what, "the outcome is of other objects than those asked for")
    return outcome


def split(outcome: Outcome[T]) -> tuple[dict[str, T] | None, dict[str, dict[str, Any]] | None]:
    """The members of a response for success and for failure: null where there was none."""
    done = {key: value for key, value in outcome.items() if not isinstance(value, SetError)}
    failed = {key: e.members() for key, e in outcome.items() if isinstance(e, SetError)}
    return done or None, failed or None
