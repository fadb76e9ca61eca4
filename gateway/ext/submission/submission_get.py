"""RFC 8621 §7.1-7.4: EmailSubmission/get, /changes, /query and /queryChanges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.ext.record_methods import changes as changes_of
from gateway.ext.record_methods import spliced, touched
from gateway.ext.submission.feedback import follow
from gateway.ext.submission.outbox import Outbox
from gateway.ext.submission.submissions import Submission, all_of
from gateway.jmap.kinds import ID_LIST, STRING, UTC_DATE
from gateway.jmap.spec import (
    ChangesRequest,
    ChangesResult,
    Condition,
    Filter,
    FilterCondition,
    GetRequest,
    GetResult,
    QueryChangesRequest,
    QueryChangesResult,
    QueryRequest,
    Sort,
)
from gateway.mail.backend import backend
from gateway.mail.email_filter import timestamp
from gateway.mail.query_state import query_state, state_in
from gateway.mail.results import ListResults
from gateway.sync.account import Account
from gateway.sync.records import Kept


class SubmissionReading:
    """The methods of EmailSubmission that change nothing."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def _held(self, account: Account) -> Kept:
        """Who asks wants to be told of what becomes of them, too."""
        kept = await self._outbox.held(account.id)
        follow(self._outbox, account, kept)
        return kept

    @backend
    async def load(self, account: Account, request: GetRequest) -> GetResult:
        """RFC 8621 §7.1."""
        kept = await self._held(account)
        records = {}
        for id_, each in all_of(kept).items():
            members = each.members(id_)
            records[id_] = {name: members[name] for name in request.properties}
        return GetResult(kept.state, records)

    @backend
    async def changes(self, account: Account, request: ChangesRequest) -> ChangesResult:
        """RFC 8621 §7.2."""
        return changes_of(await self._held(account), request)

    @backend
    async def query(self, account: Account, request: QueryRequest) -> ListResults:
        """RFC 8621 §7.3."""
        kept = await self._held(account)
        return ListResults(query_state(request, kept.state), _matching(all_of(kept), request))

    @backend
    async def query_changes(
        self, account: Account, request: QueryChangesRequest
    ) -> QueryChangesResult:
        """RFC 8621 §7.4."""
        kept = await self._held(account)
        changed = touched(kept, state_in(request.since_query_state, request.query))
        results = _matching(all_of(kept), request.query)
        removed, added = spliced(results, changed)
        state = query_state(request.query, kept.state)
        return QueryChangesResult(state, len(results), removed, added)


def _matching(submissions: Mapping[str, Submission], request: QueryRequest) -> list[str]:
    ordered = [id_ for id_, each in submissions.items() if _matches(each, request.filter)]
    for comparator in reversed(request.sort):
        key = _KEYS[comparator.property]
        ordered.sort(
            key=lambda id_, key=key: key(submissions[id_]),  # type: ignore[misc]
            reverse=not comparator.is_ascending,
        )
    return ordered


def _matches(each: Submission, filter_: Filter | None) -> bool:
    if filter_ is None:
        return True
    if isinstance(filter_, FilterCondition):
        return all(_TESTS[name](each, value) for name, value in filter_.values.items())
    matches = (_matches(each, condition) for condition in filter_.conditions)
    if filter_.operator == "AND":
        return all(matches)
    return any(matches) == (filter_.operator == "OR")


CONDITIONS: Final = (
    Condition("identityIds", ID_LIST, lambda each, ids: each.identity_id in ids),
    Condition("emailIds", ID_LIST, lambda each, ids: each.email_id in ids),
    Condition("threadIds", ID_LIST, lambda each, ids: each.thread_id in ids),
    Condition("undoStatus", STRING, lambda each, value: each.undo_status == value),
    Condition("before", UTC_DATE, lambda each, date: int(each.send_at) < timestamp(date)),
    Condition("after", UTC_DATE, lambda each, date: int(each.send_at) >= timestamp(date)),
)
# RFC 8621 §7.3 says "sentAt", and means the property ; clients send both.
SORTS: Final = (
    Sort("emailId", lambda each: each.email_id),
    Sort("threadId", lambda each: each.thread_id),
    Sort("sentAt", lambda each: each.send_at),
    Sort("sendAt", lambda each: each.send_at),
)
_TESTS: Final[dict[str, Callable[[Submission, Any], bool]]] = {c.name: c.test for c in CONDITIONS}
_KEYS: Final[dict[str, Callable[[Submission], Any]]] = {s.name: s.key for s in SORTS}
