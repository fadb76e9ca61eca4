"""RFC 8620 §5.3: "#creationId", in place of an id that the client can not know yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

# What an id, or "#creationId", stands for; None if nothing has that creation id.
Resolve = Callable[[str], str | None]


class Unresolved(Exception):
    """A creation id that nothing has; `reference` is "#creationId"."""

    def __init__(self, reference: str) -> None:
        super().__init__(reference)
        self.reference = reference


def references(value: Any) -> Iterator[str]:
    """The creation ids in a value that is an Id, or a map whose member names are Ids."""
    names = value if isinstance(value, dict) else (value,)
    return (name[1:] for name in names if isinstance(name, str) and name.startswith("#"))


def resolved(value: Any, resolve: Resolve) -> Any:
    """The same value with ids in place of creation ids. Raises Unresolved.

    What is neither an Id nor a map stays as it is.
    """
    if isinstance(value, str):
        return _id(value, resolve)
    if isinstance(value, dict):
        return {_id(name, resolve): item for name, item in value.items()}
    return value


def resolved_within(value: Any, member: str, resolve: Resolve) -> Any:
    """The same for the values of all members of that name, however deep.

    What nothing has stays as it is: whoever looks for it will say what is not there.
    """
    if isinstance(value, list):
        return [resolved_within(item, member, resolve) for item in value]
    if isinstance(value, dict):
        return {
            name: resolve(item) or item
            if name == member and isinstance(item, str)
            else resolved_within(item, member, resolve)
            for name, item in value.items()
        }
    return value


def _id(reference: str, resolve: Resolve) -> str:
    id = resolve(reference)
    if id is None:
        raise Unresolved(reference)
    return id


def generations(needs: Mapping[str, AbstractSet[str]]) -> Iterator[list[str]]:
    """Creation ids in an order in which each comes after those it needs, in as few steps as can be.

    `needs` has all that are to be created. Those that need each other in a circle, and those that
    need them, come last, together.
    """
    waiting = dict(needs)
    while waiting:
        ready = [name for name, needed in waiting.items() if waiting.keys().isdisjoint(needed)]
        ready = ready or list(waiting)
        yield ready
        for name in ready:
            del waiting[name]
