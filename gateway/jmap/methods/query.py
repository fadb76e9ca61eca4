"""RFC 8620 §5.5: Foo/query."""

from __future__ import annotations

from typing import Any

from gateway.jmap import filters, sorting
from gateway.jmap.arguments import check
from gateway.jmap.call import Call
from gateway.jmap.errors import MethodError
from gateway.jmap.limits import Limits
from gateway.jmap.spec import QUERY_ARGUMENTS, Comparator, DataType, Query, QueryRequest, Results

__all__ = ["Comparator", "QueryRequest", "Results", "query"]


async def query(
    data_type: DataType, account: Any, arguments: dict[str, Any], call: Call
) -> dict[str, Any]:
    """The response arguments of a /query of `data_type`.

    Raises MethodError unknownMethod, invalidArguments, unsupportedFilter, unsupportedSort,
    anchorNotFound, and what the type's `run` raises.
    """
    declared = data_type.query
    if declared is None:
        raise MethodError("unknownMethod")
    checked = check(arguments, QUERY_ARGUMENTS + declared.arguments)
    results = await declared.run(account, parse(checked, declared, call.limits, call.opened))
    part = await window(results, checked, call.limits.max_query_limit)
    has_changes = declared.changes is not None
    return {
        "accountId": checked["accountId"],
        "queryState": results.query_state,
        "canCalculateChanges": has_changes and results.can_calculate_changes,
        **part,
    }


def parse(
    checked: dict[str, Any], declared: Query, limits: Limits, opened: frozenset[str] = frozenset()
) -> QueryRequest:
    """The query in the `checked` arguments, of /query or of /queryChanges.

    Raises MethodError invalidArguments, unsupportedFilter, unsupportedSort.
    """
    return QueryRequest(
        filter=filters.parse(checked["filter"], declared, limits),
        sort=sorting.parse(checked["sort"], declared, limits),
        arguments={a.name: checked[a.name] for a in declared.arguments},
        opened=opened,
    )


async def window(results: Results, wanted: dict[str, Any], max_limit: int) -> dict[str, Any]:
    """The members of the response that depend on which part of the results is `wanted`.

    `wanted` has the arguments position, anchor, anchorOffset, limit and calculateTotal, checked.
    Raises MethodError anchorNotFound.
    """
    position, anchor, limit = wanted["position"], wanted["anchor"], wanted["limit"]
    needs_total = wanted["calculateTotal"] or (anchor is None and position < 0)
    total = await results.total() if needs_total else 0
    if anchor is not None:
        index = await results.index(anchor)
        if index is None:
            raise MethodError("anchorNotFound", "The anchor is not among the results.")
        position = max(0, index + wanted["anchorOffset"])
    elif position < 0:
        position = max(0, total + position)

    clamped = limit is None or limit > max_limit
    count = max_limit if clamped else limit
    ids = await results.slice(position, position + count) if count else []
    members: dict[str, Any] = {"position": position, "ids": ids}
    if wanted["calculateTotal"]:
        members["total"] = total
    if clamped:
        members["limit"] = max_limit
    return members
