"""RFC 8620 §5.5, RFC 8621 §4.4: the Emails that a query comes to at one moment, in order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gateway.jmap.spec import Comparator, QueryRequest
from gateway.mail.email_sort import ordered
from gateway.mail.filter_tree import FilterTree
from gateway.mail.query_state import query_state
from gateway.sync.arrays import Mask, Rows
from gateway.sync.emails import EmailTable
from gateway.sync.view import View

_COLLAPSED_AT_FIRST = 4


@dataclass(frozen=True)
class EmailResults:
    """The rows of a view where `mask` is true.

    They are put in order only when somebody wants to see them: counting does not need it.
    """

    view: View
    query_state: str
    mask: Mask
    sort: tuple[Comparator, ...]
    collapse: bool
    can_calculate_changes: bool = True

    @cached_property
    def rows(self) -> Rows:
        """The rows in order, threads not collapsed."""
        return ordered(self.view, self.mask, self.sort)

    @cached_property
    def listed(self) -> Rows:
        """The rows in order, threads collapsed if that was asked for."""
        return collapsed(self.view.emails, self.rows) if self.collapse else self.rows

    async def total(self) -> int:
        """How many match."""
        if not self.collapse:
            return int(np.count_nonzero(self.mask))
        emails = self.view.emails
        threads = np.zeros(len(emails.thread_keys), np.bool_)
        threads[emails.thread[: self.view.size][self.mask]] = True
        return int(np.count_nonzero(threads))

    async def slice(self, start: int, stop: int | None) -> list[str]:
        """Ids from start up to stop."""
        return [self.view.emails.id(row) for row in self._first(stop)[start:stop].tolist()]

    async def index(self, id: str) -> int | None:
        """Position of an Email, None when it does not match."""
        row = self.view.emails.row(id)
        at = np.flatnonzero(self.listed == row)
        return int(at[0]) if len(at) else None

    def _first(self, count: int | None) -> Rows:
        """At least the first `count` rows: the start of a list collapses like the whole of it."""
        if not self.collapse or count is None:
            return self.listed
        length = _COLLAPSED_AT_FIRST * count
        while length < len(self.rows):
            rows = collapsed(self.view.emails, self.rows[:length])
            if len(rows) >= count:
                return rows
            length *= 4
        return self.listed


def evaluate(view: View, request: QueryRequest, tree: FilterTree, email_state: str) -> EmailResults:
    """Filter a complete index whose sort columns are made, and whose searches are done.

    email_state: the state of Email at the moment of the view.
    """
    mask = tree.matching(view)
    found = view.emails.key[: view.size][mask].tobytes() if tree.learns else None
    state = query_state(request, email_state, found)
    return EmailResults(view, state, mask, request.sort, request.arguments["collapseThreads"])


def collapsed(emails: EmailTable, rows: Rows) -> Rows:
    """RFC 8621 §4.4.3: only the first row of each Thread, in order."""
    threads = emails.thread[rows]
    positions = np.arange(len(rows), dtype=np.int32)
    first = np.empty(len(emails.thread_keys), np.int32)
    # Written from the last to the first, so that the first one stays.
    first[threads[::-1]] = positions[::-1]
    kept: Rows = rows[first[threads] == positions]
    return kept
