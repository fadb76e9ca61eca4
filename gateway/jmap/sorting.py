"""RFC 8620 §5.5: the `sort` argument of /query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.jmap.errors import MethodError, invalid_arguments, quoted
from gateway.jmap.limits import Limits
from gateway.jmap.spec import COLLATIONS, Comparator, Query, Sort


def parse(
    value: list[dict[str, Any]] | None, query: Query, limits: Limits
) -> tuple[Comparator, ...]:
    """The comparators, each by a property and a collation that `query` declares.

    Raises MethodError invalidArguments for what is no Comparator, unsupportedSort for a property
    or collation that the type does not have and for too many comparators.
    """
    if value is None:
        return ()
    if len(value) > limits.max_sort_comparators:
        raise _unsupported(f"At most {limits.max_sort_comparators} comparators are supported.")
    sorts = {sort.name: sort for sort in query.sorts}
    return tuple(_comparator(item, sorts, query.collations) for item in value)


def _comparator(
    value: dict[str, Any], sorts: Mapping[str, Sort], collations: tuple[str, ...]
) -> Comparator:
    name = value.get("property")
    is_ascending = value.get("isAscending", True)
    collation = value.get("collation", COLLATIONS[0])
    if not isinstance(name, str):
        raise invalid_arguments('A Comparator must have a "property" of type String.')
    if not isinstance(is_ascending, bool):
        raise invalid_arguments('"isAscending" of a Comparator must be of type Boolean.')
    if not isinstance(collation, str):
        raise invalid_arguments('"collation" of a Comparator must be of type String.')
    sort = sorts.get(name)
    if sort is None:
        raise _unsupported(f"Sorting by {quoted([name])} is not supported.")
    if collation not in collations:
        raise _unsupported(f"The collation {quoted([collation])} is not supported.")
    return Comparator(name, is_ascending, collation, _extra(value, sort))


def _extra(value: dict[str, Any], sort: Sort) -> dict[str, str]:
    # Members nobody asked for are passed over: jmapc sends some of the arguments of /query here.
    extra = {name: v for name, v in value.items() if name in sort.needs}
    for name in sorted(sort.needs):
        if not isinstance(extra.get(name), str):
            raise invalid_arguments(f'A Comparator by {sort.name} needs a String "{name}".')
    return extra


def _unsupported(description: str) -> MethodError:
    return MethodError("unsupportedSort", description)
