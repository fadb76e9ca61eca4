"""RFC 8621 §2: totalEmails, unreadEmails, totalThreads and unreadThreads from the index.

They are counted over exactly what Email/query would return, so the two never contradict each
other. An Email is unread when it has neither $seen nor $draft. A Thread counts as unread in a
mailbox when any of its Emails is, wherever that is; but what lies only in the Trash is of no
interest elsewhere, and in the Trash nothing else is.

What a commit changes of them is worked out from the Threads that it touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.sync.arrays import Bits, Mask, Rows, distinct, ranked
from gateway.sync.emails import NOWHERE, EmailTable
from gateway.sync.events import EmailEvents
from gateway.sync.index import AccountIndex
from gateway.sync.keywords import DRAFT, SEEN, select

_DENSE = 1 << 24


class Counts(NamedTuple):
    """The four counts of a Mailbox."""

    total_emails: int
    unread_emails: int
    total_threads: int
    unread_threads: int


_Tally = dict[int, npt.NDArray[np.int64]]
_ZERO: npt.NDArray[np.int64] = np.zeros(4, np.int64)


class Counter:
    """Counts of the mailboxes of one account, as of one version of its index."""

    def __init__(self, index: AccountIndex) -> None:
        self._index = index
        self._version: tuple[int, int, int | None] | None = None
        self._tally: _Tally = {}

    def counts(self, number: int, trash: int | None) -> Counts:
        """Counts of one mailbox; `trash` is the number of the mailbox with that role."""
        self.settle(trash)
        return Counts(*self._tally.get(number, _ZERO).tolist())

    def settle(self, trash: int | None) -> None:
        """Count all that there is, unless that is known."""
        version = (*self._index.version, trash)
        if version != self._version:
            emails = self._index.emails
            rows = np.arange(emails.size, dtype=np.int32)
            self._tally = _tally(
                emails, rows, _unread(emails.bits[rows]), _places(emails, rows), trash
            )
            self._version = version

    def follow(self, events: EmailEvents, trash: int | None) -> None:
        """The index changed, since settle() with the same `trash`, by what these events tell."""
        emails = self._index.emails
        touched = np.zeros(len(emails.thread_keys), np.bool_)
        touched[emails.thread[events.rows]] = True
        rows = np.flatnonzero(touched[emails.thread[: emails.size]]).astype(np.int32)
        bits = emails.bits[rows]
        now = _tally(emails, rows, _unread(bits), _places(emails, rows), trash)
        at = np.searchsorted(rows, events.rows)
        unread = _unread(bits)
        unread[at] = _unread(events.bits)
        before = _tally(emails, rows, unread, _places_before(emails, rows, events), trash)
        for number in now.keys() | before.keys():
            change = now.get(number, _ZERO) - before.get(number, _ZERO)
            self._tally[number] = self._tally.get(number, _ZERO) + change
        self._version = (*self._index.version, trash)


class _Places(NamedTuple):
    """Which Emails are in which mailboxes: positions in a list of rows, and mailbox numbers."""

    at: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]


def _unread(bits: Bits) -> Mask:
    return ~select(bits, SEEN | DRAFT)


def _places(emails: EmailTable, rows: Rows) -> _Places:
    """The mailboxes of rows (ascending), each mailbox of an Email once."""
    home = emails.home_mailbox[rows]
    several = set(emails.copies)
    if len(rows) < emails.size:
        several &= set(rows.tolist())
    further = ((row, {n for n, _ in emails.placements(row)}) for row in several)
    return _joined(rows, home, further)


def _places_before(emails: EmailTable, rows: Rows, events: EmailEvents) -> _Places:
    """The same as before the events."""
    home = emails.home_mailbox[rows]
    home[np.searchsorted(rows, events.rows)] = events.mailbox
    touched = set(events.rows.tolist())
    several = [row for row in emails.copies.keys() - touched if _is_in(rows, row)]
    further = [(row, {n for n, _ in emails.placements(row)}) for row in several]
    further += [(row, set(rest)) for row, rest in events.further.items()]
    return _joined(rows, home, further)


def _is_in(rows: Rows, row: int) -> bool:
    at = int(np.searchsorted(rows, row))
    return at < len(rows) and int(rows[at]) == row


def _joined(
    rows: Rows, home: npt.NDArray[np.uint16], further: Iterable[tuple[int, set[int]]]
) -> _Places:
    at = np.flatnonzero(home != NOWHERE)
    numbers = home[at].astype(np.int64)
    more = [
        (position, number)
        for row, others in further
        for position in (int(np.searchsorted(rows, row)),)
        for number in others - {int(home[position])}
    ]
    if not more:
        return _Places(at, numbers)
    extra = np.array(more, np.int64)
    return _Places(np.concatenate([at, extra[:, 0]]), np.concatenate([numbers, extra[:, 1]]))


def _tally(
    emails: EmailTable, rows: Rows, unread: Mask, places: _Places, trash: int | None
) -> _Tally:
    """The four counts by mailbox number, of rows that are the whole of their Threads."""
    known, threads = ranked(emails.thread[rows], len(emails.thread_keys))
    mailboxes, column = ranked(places.numbers, NOWHERE)
    at, width = places.at, len(mailboxes)
    in_trash = places.numbers == (NOWHERE if trash is None else trash)
    news = unread[at]
    is_unread = np.zeros(len(known), np.bool_)
    is_unread[threads[at[news & ~in_trash]]] = True
    # Each (Thread, mailbox) once, and of those in the Trash again the ones unread there.
    pairs = _distinct(threads[at] * width + column, len(known) * width)
    there = _distinct(threads[at[news & in_trash]], len(known))
    columns = (
        np.bincount(column, minlength=width),
        np.bincount(column[news], minlength=width),
        np.bincount(pairs % width, minlength=width) if width else column,
        np.bincount(pairs[is_unread[pairs // width]] % width, minlength=width) if width else column,
    )
    counts = np.stack(columns, axis=1).astype(np.int64)
    counts[mailboxes == trash, 3] = len(there)
    return dict(zip(mailboxes.tolist(), counts, strict=True))


def _distinct(values: npt.NDArray[Any], size: int) -> npt.NDArray[np.int64]:
    """The distinct ones of numbers below `size`, ascending."""
    if size > _DENSE:
        return np.unique(values)
    return distinct(values, size)
