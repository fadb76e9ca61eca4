"""RFC 8620 §5.6, RFC 8621 §4.5: Email/queryChanges, by asking the past and comparing.

The change log gives the account as it was at the old state; the query is evaluated on that and on
the account as it is, and the two results are compared. What filter and sort look at that never
changes for an Email is taken as it is now: a text in it above all, which is searched for in all
that was an Email then or is one now. The server can not be asked any more about an Email that is
gone; what it last said is taken then, and no if it never was asked.

Of such queries the state says what was found (FilterTree.learns). If the past does not come to the
same now, because the server found more in the same mail later, or because what it said of mail that
is gone was forgotten, the difference would be one to something that the client never had: then the
changes can not be calculated.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gateway.jmap.errors import cannot_calculate_changes, too_many_changes
from gateway.jmap.spec import QueryChangesRequest, QueryChangesResult
from gateway.mail import email_filter, email_sort
from gateway.mail.backend import backend
from gateway.mail.email_prepare import prepare
from gateway.mail.email_results import EmailResults, evaluate
from gateway.mail.email_sort import by_header, rank_of
from gateway.mail.filter_tree import FilterTree
from gateway.mail.query_state import state_in
from gateway.sync.account import Account
from gateway.sync.arrays import Rows
from gateway.sync.data import AccountData
from gateway.sync.journal import Position, UnknownState
from gateway.sync.view import Mutable, View


@backend
async def run(account: Account, request: QueryChangesRequest) -> QueryChangesResult:
    """RFC 8621 §4.5. Waits for the whole account, if the state can be one of it."""
    query = request.query
    tree = FilterTree(query.filter)
    since = state_in(request.since_query_state, query)
    data = await account.fresh()
    if data.journal.is_of(since):
        data = await account.indexed()
    _position(data, since)
    await prepare(account, data, query, tree, lambda: (View.now(data), _at(data, since)))
    old = evaluate(_at(data, since), query, tree, since)
    if old.query_state != request.since_query_state:
        raise cannot_calculate_changes("More is known now of what was found then.")
    if _has_lost_places(old):
        raise cannot_calculate_changes("It is not known any more where some mail was.")
    new = evaluate(View.now(data), query, tree, data.email_state())
    looks_at = email_filter.looks_at(query.filter) | email_sort.looks_at(query.sort)
    last = _row(data, request.up_to_id) if not looks_at else None
    removed, added = difference(old, new, looks_at, last)
    count, most = len(removed) + len(added), request.max_changes
    if most is not None and count > most:  # before an id is made for each of them
        raise too_many_changes(f"There are {count} changes.")
    id_of = data.emails.id
    return QueryChangesResult(
        new_query_state=new.query_state,
        total=await new.total() if request.calculate_total else None,
        removed=[id_of(row) for row in removed.tolist()],
        added=[(id_of(row), index) for row, index in added],
    )


def _at(data: AccountData, state: str) -> View:
    """The account as it was at a state. Raises MethodError cannotCalculateChanges."""
    return View.past(data, data.journal.emails_since(_position(data, state)))


def _position(data: AccountData, state: str) -> Position:
    try:
        return data.journal.position("Email", state)
    except UnknownState:
        raise cannot_calculate_changes("The state is not known, or too old.") from None


def _has_lost_places(old: EmailResults) -> bool:
    """Whether the header fields that the results were sorted by are lost, of mail that is gone."""
    visible, data = old.view.visible(), old.view.data
    ranks = (data.orders.rank(*rank_of(data, c)) for c in by_header(old.sort))
    return any(visible[row] for rank in ranks for row in rank.unknown)


def _row(data: AccountData, email_id: str | None) -> int | None:
    row = data.emails.row(email_id) if email_id is not None else -1
    return row if row >= 0 else None


def difference(
    old: EmailResults, new: EmailResults, looks_at: Mutable, last: int | None = None
) -> tuple[Rows, list[tuple[int, int]]]:
    """The rows to remove from the old results, and those to add with their index in the new ones.

    looks_at: what the query looks at that may change. Emails of which it may have changed are
    removed, and added again if they match, as the RFC wants it. All others are in the same order
    in both results, which is one of what rows say and of nothing else; so only those have to be
    compared that were touched since, and when something depends on their Threads, all of these.
    last: the row of upToId, behind which nothing matters if it is in both results.
    """
    changed, compared = old.view.changed(looks_at), old.view.touched()
    if not compared.any():
        return np.zeros(0, np.int32), []
    if last is not None:
        compared[last] = True
    if old.collapse or Mutable.THREAD_KEYWORDS in looks_at:
        compared = old.view.whole_threads(compared)
    before, after = replace(old, mask=old.mask & compared).listed, new.listed
    if last is not None:
        before, after = _up_to(before, after, last)
    indexes = np.flatnonzero(compared[after])
    rows = after[indexes]
    was, still = np.zeros_like(changed), np.zeros_like(changed)
    was[before], still[rows] = True, True
    removed = np.concatenate((before[~still[before]], rows[changed[rows]]))
    fresh = ~was[rows] | changed[rows]
    return removed, list(zip(rows[fresh].tolist(), indexes[fresh].tolist(), strict=True))


def _up_to(old: Rows, new: Rows, last: int) -> tuple[Rows, Rows]:
    """Both results up to a row, for a client that has no more; as they are if it is not in both."""
    at_old, at_new = np.flatnonzero(old == last), np.flatnonzero(new == last)
    if not (len(at_old) and len(at_new)):
        return old, new
    return old[: at_old[0] + 1], new[: at_new[0] + 1]
