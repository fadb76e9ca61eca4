"""RFC 8620 §5.6: Foo/queryChanges."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from gateway.jmap.arguments import check
from gateway.jmap.call import Call
from gateway.jmap.errors import (
    DefectiveResult,
    MethodError,
    cannot_calculate_changes,
    too_many_changes,
)
from gateway.jmap.limits import Limits
from gateway.jmap.methods.query import parse
from gateway.jmap.spec import (
    QUERY_CHANGES_ARGUMENTS,
    DataType,
    QueryChangesRequest,
    QueryChangesResult,
)

__all__ = ["QueryChangesRequest", "QueryChangesResult", "query_changes"]


async def query_changes(
    data_type: DataType, account: Any, arguments: dict[str, Any], call: Call
) -> dict[str, Any]:
    """The response arguments of a /queryChanges of `data_type`.

    Raises MethodError unknownMethod, invalidArguments, unsupportedFilter, unsupportedSort,
    tooManyChanges, cannotCalculateChanges, and what the type's `changes` raises; DefectiveResult
    if what it returns would mislead the client.
    """
    declared = data_type.query
    if declared is None or declared.changes is None:
        raise MethodError("unknownMethod")
    checked = check(arguments, QUERY_CHANGES_ARGUMENTS + declared.arguments)
    request = QueryChangesRequest(
        query=parse(checked, declared, call.limits, call.opened),
        since_query_state=checked["sinceQueryState"],
        max_changes=checked["maxChanges"],
        up_to_id=checked["upToId"],
        calculate_total=checked["calculateTotal"],
    )
    result = await declared.changes(account, request)
    if defect := _defect(result, request):
        raise DefectiveResult(f"{data_type.name}/queryChanges", defect)
    _check_size(result, request.max_changes, call.limits)
    response = {
        "accountId": checked["accountId"],
        "oldQueryState": request.since_query_state,
        "newQueryState": result.new_query_state,
    }
    if request.calculate_total:
        response["total"] = result.total
    response["removed"] = result.removed
    response["added"] = [{"id": id, "index": index} for id, index in result.added]
    return response


def _check_size(result: QueryChangesResult, max_changes: int | None, limits: Limits) -> None:
    """Refuse more changes than the client wants, or than the server sends.

    The second is not tooManyChanges, after which the client might ask for even more.
    """
    count = len(result.removed) + len(result.added)
    if max_changes is not None and count > max_changes:
        raise too_many_changes(f"There are {count} changes.")
    if count > limits.max_query_changes:
        raise cannot_calculate_changes(f"There are more than {limits.max_query_changes} changes.")


def _defect(result: QueryChangesResult, request: QueryChangesRequest) -> str | None:
    """What is wrong with a result; a client could only notice by a cache that is wrong for good."""
    removed, added = result.removed, result.added
    if len(set(removed)) < len(removed) or len({id for id, _ in added}) < len(added):
        return "an id occurs twice"
    if any(index >= following for (_, index), (_, following) in pairwise(added)):
        return "the indexes of what was added do not ascend"
    if request.calculate_total and result.total is None:
        return "the total is missing"
    if result.total is not None and added and added[-1][1] >= result.total:
        return "something was added beyond the end"
    if result.new_query_state == request.since_query_state and (removed or added):
        return "there are changes, but the state is the same"
    return None
