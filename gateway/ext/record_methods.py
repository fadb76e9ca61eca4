"""RFC 8620 §5.2, §5.6: /changes and /queryChanges of the objects that the gateway keeps itself."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from gateway.jmap.errors import cannot_calculate_changes
from gateway.jmap.spec import ChangesRequest, ChangesResult
from gateway.sync.journal import UnknownState
from gateway.sync.records import Kept


def changes(kept: Kept, request: ChangesRequest) -> ChangesResult:
    """What happened to the objects. Raises MethodError cannotCalculateChanges."""
    try:
        since = kept.changes(request.since_state, request.max_changes)
    except UnknownState:
        raise cannot_calculate_changes("The state is not known.") from None
    return ChangesResult(
        old_state=request.since_state,
        new_state=since.state,
        has_more_changes=since.has_more,
        created=since.created,
        updated=since.updated,
        destroyed=since.destroyed,
    )


def touched(kept: Kept, state: str) -> AbstractSet[str]:
    """The objects that are not as they were. Raises MethodError cannotCalculateChanges."""
    try:
        return kept.touched_since(state)
    except UnknownState:
        raise cannot_calculate_changes("The state is not known.") from None


def spliced(
    results: Sequence[str], touched_ids: AbstractSet[str]
) -> tuple[list[str], list[tuple[str, int]]]:
    """RFC 8620 §5.6: what is removed and added, where only touched objects can have moved.

    Some of what is removed may not have been in the old results, which the RFC allows for.
    """
    added = [(id_, index) for index, id_ in enumerate(results) if id_ in touched_ids]
    return sorted(touched_ids), added
