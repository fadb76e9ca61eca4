"""RFC 8621 §2.3, §2.4: Mailbox/query and Mailbox/queryChanges."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from gateway.jmap.differences import difference
from gateway.jmap.errors import cannot_calculate_changes
from gateway.jmap.kinds import BOOLEAN, ID, STRING, nullable
from gateway.jmap.spec import (
    Argument,
    Condition,
    Filter,
    FilterCondition,
    Query,
    QueryChangesRequest,
    QueryChangesResult,
    QueryRequest,
    Sort,
)
from gateway.mail.backend import backend
from gateway.mail.collation import sort_key
from gateway.mail.query_state import query_state, state_in
from gateway.mail.results import ListResults
from gateway.sync.account import Account
from gateway.sync.journal import UnknownState
from gateway.sync.mailboxes import Mailbox

_KIND = "MailboxList"

Test = Callable[[Mailbox, Any], bool]


def _fold(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _matches(mailbox: Mailbox, filter_: Filter | None) -> bool:
    if filter_ is None:
        return True
    if isinstance(filter_, FilterCondition):
        return all(_TESTS[name](mailbox, value) for name, value in filter_.values.items())
    matches = (_matches(mailbox, condition) for condition in filter_.conditions)
    if filter_.operator == "AND":
        return all(matches)
    return any(matches) == (filter_.operator == "OR")


def _sorted(mailboxes: list[Mailbox], request: QueryRequest) -> list[Mailbox]:
    ordered = sorted(mailboxes, key=lambda m: m.id)
    for comparator in reversed(request.sort):
        key = partial(_KEYS[comparator.property], comparator.collation)
        ordered.sort(key=key, reverse=not comparator.is_ascending)
    return ordered


def _as_tree(ordered: list[Mailbox]) -> list[Mailbox]:
    """sortAsTree: every mailbox right after its parent's earlier children."""
    present = {m.id for m in ordered}
    children: dict[str | None, list[Mailbox]] = {}
    for mailbox in ordered:
        parent = mailbox.parent_id if mailbox.parent_id in present else None
        children.setdefault(parent, []).append(mailbox)
    out: list[Mailbox] = []
    stack = children.get(None, [])[::-1]
    while stack:
        mailbox = stack.pop()
        out.append(mailbox)
        stack.extend(reversed(children.get(mailbox.id, [])))
    return out


def _with_ancestors(kept: list[Mailbox], mailboxes: Mapping[str, Mailbox]) -> list[Mailbox]:
    """filterAsTree: only those whose ancestors are all kept too."""
    ids = {m.id for m in kept}

    def rooted(mailbox: Mailbox) -> bool:
        parent = mailbox.parent_id
        while parent is not None:
            if parent not in ids:
                return False
            parent = mailboxes[parent].parent_id
        return True

    return [m for m in kept if rooted(m)]


def matching(mailboxes: Mapping[str, Mailbox], request: QueryRequest) -> list[str]:
    """The ids of those that match, in order."""
    ordered = _sorted(list(mailboxes.values()), request)
    if request.arguments["sortAsTree"]:
        # The tree is laid out before anything is left out of it.
        ordered = _as_tree(ordered)
    kept = [m for m in ordered if _matches(m, request.filter)]
    if request.arguments["filterAsTree"]:
        kept = _with_ancestors(kept, mailboxes)
    return [m.id for m in kept]


@backend
async def run(account: Account, request: QueryRequest) -> ListResults:
    """RFC 8621 §2.3."""
    data = await account.fresh()
    state = query_state(request, data.journal.state(_KIND))
    return ListResults(state, matching(data.mailboxes, request))


@backend
async def changes(account: Account, request: QueryChangesRequest) -> QueryChangesResult:
    """RFC 8621 §2.4. All that filters and sorts look at may change, so upToId is ignored."""
    state = state_in(request.since_query_state, request.query)
    data = await account.fresh()
    try:
        position = data.journal.position(_KIND, state)
    except UnknownState:
        raise cannot_calculate_changes("The state is not known, or too old.") from None
    events = data.journal.mailboxes_since(position)
    changed = {id_: event.before for id_, event in events.items() if event.is_listed}
    new = matching(data.mailboxes, request.query)
    old = matching(_as_before(data.mailboxes, changed), request.query)
    removed, added = difference(old, new, changed.keys())
    # What may have changed is to be removed, also where it is known not to have been there.
    there = set(old)
    removed += [id_ for id_ in new if changed.get(id_) is not None and id_ not in there]
    new_state = query_state(request.query, data.journal.state(_KIND))
    return QueryChangesResult(new_state, len(new), removed, added)


def _as_before(
    mailboxes: Mapping[str, Mailbox], changed: Mapping[str, Mailbox | None]
) -> dict[str, Mailbox]:
    """The Mailboxes before some of them became what they are, given these as they were."""
    same = {id_: mailbox for id_, mailbox in mailboxes.items() if id_ not in changed}
    return same | {id_: before for id_, before in changed.items() if before is not None}


CONDITIONS = (
    Condition("parentId", nullable(ID), lambda m, v: m.parent_id == v),
    Condition("name", STRING, lambda m, v: _fold(v) in _fold(m.name)),
    Condition("role", nullable(STRING), lambda m, v: m.role == v),
    Condition("hasAnyRole", BOOLEAN, lambda m, v: (m.role is not None) == v),
    Condition("isSubscribed", BOOLEAN, lambda m, v: m.is_subscribed == v),
)
SORTS = (
    Sort("sortOrder", lambda _, m: m.sort_order),
    Sort("name", lambda collation, m: sort_key(m.name, collation)),
)
_TESTS: dict[str, Test] = {c.name: c.test for c in CONDITIONS}
_KEYS: dict[str, Callable[[str, Mailbox], Any]] = {s.name: s.key for s in SORTS}

QUERY = Query(
    run,
    CONDITIONS,
    SORTS,
    arguments=(
        Argument("sortAsTree", BOOLEAN, False),
        Argument("filterAsTree", BOOLEAN, False),
    ),
    changes=changes,
)
