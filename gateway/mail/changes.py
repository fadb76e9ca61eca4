"""RFC 8620 §5.2, RFC 8621 §2.2, §3.2, §4.3: Mailbox/changes, Thread/changes, Email/changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from gateway.jmap.errors import cannot_calculate_changes
from gateway.jmap.spec import ChangesRequest, ChangesResult
from gateway.mail.backend import backend
from gateway.sync import changes
from gateway.sync.account import Account
from gateway.sync.data import AccountData
from gateway.sync.journal import UnknownState

COUNTS: Final = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
"""RFC 8621 §2.2: the properties that may be all that has changed of a Mailbox."""

_Found = tuple[changes.Changes, dict[str, Any]]
_Run = Callable[[Account, ChangesRequest], Awaitable[ChangesResult]]


def _run(find: Callable[[AccountData, str, int], _Found]) -> _Run:
    @backend
    async def run(account: Account, request: ChangesRequest) -> ChangesResult:
        data = await account.fresh()
        if not data.is_indexed and data.journal.is_of(request.since_state):
            data = await account.indexed()
        try:
            found, members = find(data, request.since_state, request.max_changes)
        except UnknownState:
            raise cannot_calculate_changes() from None
        return ChangesResult(
            old_state=request.since_state,
            new_state=found.new_state,
            has_more_changes=found.has_more,
            created=found.created,
            updated=found.updated,
            destroyed=found.destroyed,
            members=members,
        )

    return run


def _mailboxes(data: AccountData, since_state: str, limit: int) -> _Found:
    found, only_counts = changes.mailboxes(data, since_state, limit)
    return found, {"updatedProperties": list(COUNTS) if only_counts else None}


mailboxes: Final = _run(_mailboxes)
threads: Final = _run(lambda data, state, limit: (changes.threads(data, state, limit), {}))
emails: Final = _run(lambda data, state, limit: (changes.emails(data, state, limit), {}))
