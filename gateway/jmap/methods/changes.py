"""RFC 8620 §5.2: Foo/changes."""

from __future__ import annotations

from typing import Any

from gateway.jmap.arguments import check
from gateway.jmap.call import Call
from gateway.jmap.errors import DefectiveResult, MethodError, invalid_arguments
from gateway.jmap.limits import Limits
from gateway.jmap.spec import CHANGES_ARGUMENTS, ChangesRequest, ChangesResult, DataType

__all__ = ["ChangesRequest", "ChangesResult", "changes"]


async def changes(
    data_type: DataType, account: Any, arguments: dict[str, Any], call: Call
) -> dict[str, Any]:
    """The response arguments of a /changes of `data_type`.

    Raises MethodError unknownMethod, invalidArguments, and what the type's `run` raises;
    DefectiveResult if what it returns would mislead the client.
    """
    declared = data_type.changes
    if declared is None:
        raise MethodError("unknownMethod")
    checked = check(arguments, CHANGES_ARGUMENTS)
    request = ChangesRequest(
        since_state=checked["sinceState"],
        max_changes=_max_changes(checked["maxChanges"], call.limits),
    )
    result = await declared.run(account, request)
    if defect := _defect(result, request):
        raise DefectiveResult(f"{data_type.name}/changes", defect)
    return {
        "accountId": checked["accountId"],
        "oldState": result.old_state,
        "newState": result.new_state,
        "hasMoreChanges": result.has_more_changes,
        "created": result.created,
        "updated": result.updated,
        "destroyed": result.destroyed,
        **result.members,
    }


def _max_changes(wanted: int | None, limits: Limits) -> int:
    if wanted == 0:
        raise invalid_arguments('"maxChanges" must be greater than 0.')
    return limits.max_changes if wanted is None else min(wanted, limits.max_changes)


def _defect(result: ChangesResult, request: ChangesRequest) -> str | None:
    """What is wrong with a result; a client could only notice by a cache that is wrong for good."""
    ids = [*result.created, *result.updated, *result.destroyed]
    if result.old_state != request.since_state:
        return "oldState is not the state that was asked for"
    if len(ids) > request.max_changes:
        return f"{len(ids)} changes where at most {request.max_changes} were asked for"
    if len(set(ids)) < len(ids):
        return "an id occurs twice"
    if result.new_state == result.old_state and (ids or result.has_more_changes):
        return "there are changes, but the state is the same"
    return None
