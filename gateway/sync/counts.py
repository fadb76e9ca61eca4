"""RFC 8621 §2: totalEmails, unreadEmails, totalThreads and unreadThreads from the index.

They are counted over exactly what Email/query would return, so the two never contradict each
other. An Email is unread when it has neither $seen nor $draft. A Thread counts as unread in a
mailbox when any of its Emails is, wherever that is; but what lies only in the Trash is of no
interest elsewhere, and in the Trash nothing else is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.sync.arrays import Mask, Rows
from gateway.sync.emails import NOWHERE
from gateway.sync.index import AccountIndex
from gateway.sync.keywords import DRAFT, SEEN, select


@dataclass(frozen=True, slots=True)
class Counts:
    """The four counts of a Mailbox."""

    total_emails: int
    unread_emails: int
    total_threads: int
    unread_threads: int


class Counter:
    """Counts of the mailboxes of one account, worked out once for each version of the index."""

    def __init__(self, index: AccountIndex) -> None:
        self._index = index
        self._version: tuple[int, int, int, int | None] | None = None
        self._counts: dict[int, Counts] = {}
        self._unread: Mask = np.zeros(0, np.bool_)
        self._unread_threads: Mask = np.zeros(0, np.bool_)

    def counts(self, number: int, trash: int | None) -> Counts:
        """Counts of one mailbox; `trash` is the number of the mailbox with that role."""
        self._prepare(trash)
        found = self._counts.get(number)
        if found is None:
            found = self._counts[number] = self._count(number, in_trash=number == trash)
        return found

    def _prepare(self, trash: int | None) -> None:
        emails = self._index.emails
        # A message that comes as deleted changes no Email, but may bring a Thread.
        version = (*self._index.version, len(emails.thread_keys), trash)
        if version == self._version:
            return
        self._version, self._counts = version, {}
        self._unread = ~select(emails.bits[: emails.size], SEEN | DRAFT)
        self._unread[emails.home_mailbox[: emails.size] == NOWHERE] = False
        kept = self._unread if trash is None else self._unread & ~self._only_in(trash)
        self._unread_threads = self._threads_of(np.flatnonzero(kept).astype(np.int32))

    def _only_in(self, number: int) -> Mask:
        emails = self._index.emails
        inside: Mask = emails.home_mailbox[: emails.size] == number
        for row in emails.copies:
            inside[row] = all(n == number for n, _ in emails.placements(row))
        return inside

    def _threads_of(self, rows: Rows) -> Mask:
        emails = self._index.emails
        threads = np.zeros(len(emails.thread_keys), np.bool_)
        threads[emails.thread[rows]] = True
        return threads

    def _count(self, number: int, *, in_trash: bool) -> Counts:
        rows = self._index.rows_in(number)
        unread = rows[self._unread[rows]]
        threads = self._threads_of(rows)
        if in_trash:
            unread_threads = int(np.count_nonzero(self._threads_of(unread)))
        else:
            unread_threads = int(np.count_nonzero(threads & self._unread_threads))
        return Counts(len(rows), len(unread), int(np.count_nonzero(threads)), unread_threads)
