"""RFC 8620 §5.5: queries for objects of which there are few, all of them at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from gateway.jmap.spec import Condition, Filter, FilterCondition, QueryRequest, Sort

T = TypeVar("T")


def matching(
    objects: Mapping[str, T],
    request: QueryRequest,
    conditions: Sequence[Condition],
    sorts: Sequence[Sort],
) -> list[str]:
    """The ids of the objects that match, in order.

    The test of a condition is given an object and the value, the key of a sort a collation and an
    object. What is equal by that is in the order of ids.
    """
    tests = {condition.name: condition.test for condition in conditions}
    keys = {sort.name: sort.key for sort in sorts}
    ids = [id_ for id_ in sorted(objects) if _matches(objects[id_], request.filter, tests)]
    for comparator in reversed(request.sort):
        key, collation = keys[comparator.property], comparator.collation
        ids.sort(
            key=lambda id_, key=key, collation=collation: key(collation, objects[id_]),  # type: ignore[misc]
            reverse=not comparator.is_ascending,
        )
    return ids


def _matches(
    object_: T, filter_: Filter | None, tests: Mapping[str, Callable[[T, Any], bool]]
) -> bool:
    if filter_ is None:
        return True
    if isinstance(filter_, FilterCondition):
        return all(tests[name](object_, value) for name, value in filter_.values.items())
    matches = (_matches(object_, condition, tests) for condition in filter_.conditions)
    if filter_.operator == "AND":
        return all(matches)
    return any(matches) == (filter_.operator == "OR")
