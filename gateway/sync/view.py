"""RFC 8620 §5.6: the Emails of an account at one moment, as filters and sorts look at them.

Most of what a row of the Email table says never changes, and is taken from the table whatever the
moment. What does change is asked of a View: which rows are Emails, their keywords and their
mailboxes. What a View of the past has of its own are the rows that were touched since, put back
by the change log; it is made when asked for. So a View is good until the next commit only: nobody
may wait while one is in use.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Flag, auto
from functools import cached_property

import numpy as np

from gateway.sync.arrays import Bits, Mask, Rows
from gateway.sync.data import AccountData
from gateway.sync.emails import NOWHERE, EmailTable
from gateway.sync.events import EmailEvents, no_emails
from gateway.sync.keywords import widen

_NUMBERS = NOWHERE + 1


class Mutable(Flag):
    """What a filter or sort may look at that can change for an Email (RFC 8621 §4.1.1)."""

    NOTHING = 0
    MAILBOXES = auto()
    KEYWORDS = auto()
    THREAD_KEYWORDS = auto()  # those of any Email of its Thread


class View:
    """The rows of the Email table as Emails of one moment.

    `size` rows are looked at, which are all that were ever committed. Masks have the shape (size,)
    and are not to be written to.
    """

    def __init__(self, data: AccountData, events: EmailEvents) -> None:
        self.data = data
        self.size = data.committed.rows
        self._events = events

    @classmethod
    def now(cls, data: AccountData) -> View:
        """The account as it is."""
        return cls(data, no_emails())

    @classmethod
    def past(cls, data: AccountData, events: EmailEvents) -> View:
        """The account as it was before `events`, which are all that happened since."""
        return cls(data, events)

    @property
    def emails(self) -> EmailTable:
        """The table, for the columns that never change: those of ids, Threads, dates and sizes."""
        return self.data.emails

    @cached_property
    def bits(self) -> Bits:
        """The keywords of each row, shape (size, words); of no meaning for what is no Email."""
        bits, events = self.emails.bits[: self.size], self._events
        if not len(events.rows):
            return bits
        bits = widen(bits, events.bits.shape[1]).copy()
        bits[events.rows] = widen(events.bits, bits.shape[1])
        return bits

    def visible(self) -> Mask:
        """Which rows are Emails."""
        return self._visible

    @cached_property
    def _visible(self) -> Mask:
        mask = self._now_visible()
        mask[self._events.rows] = self._events.was
        return mask

    def _now_visible(self) -> Mask:
        mask: Mask = self.emails.home_mailbox[: self.size] != NOWHERE
        return mask

    def in_mailbox(self, number: int) -> Mask:
        """The Emails in the mailbox of that number."""
        mask, events = self._now_in_mailbox(number), self._events
        mask[events.rows] = events.mailbox == number
        mask[[row for row, others in events.further.items() if number in others]] = True
        return mask

    def _now_in_mailbox(self, number: int) -> Mask:
        if not self.emails.copies:
            mask: Mask = self.emails.home_mailbox[: self.size] == number
            return mask
        mask = np.zeros(self.size, np.bool_)
        self._add_rows_in(number, mask)
        return mask

    def _add_rows_in(self, number: int, mask: Mask) -> None:
        columns = self.data.index.mailboxes.get(number)
        if columns is not None:
            mask[columns.rows[columns.shown()]] = True

    def in_other_mailbox(self, numbers: Collection[int]) -> Mask:
        """The Emails in at least one mailbox whose number is not among these."""
        is_other = np.ones(_NUMBERS, np.bool_)
        is_other[[NOWHERE, *numbers]] = False
        mask, events = is_other[self.emails.home_mailbox[: self.size]], self._events
        if self.emails.copies:
            for number in self.data.index.mailboxes:
                if is_other[number]:
                    self._add_rows_in(number, mask)
        mask[events.rows] = is_other[events.mailbox]
        for row, others in events.further.items():
            mask[row] |= bool(is_other[list(others)].any())
        return mask

    def whole_threads(self, rows: Mask) -> Mask:
        """All rows of the Threads that some of the given ones are in."""
        threads = np.zeros(len(self.emails.thread_keys), np.bool_)
        threads[self.emails.thread[: self.size][rows]] = True
        mask: Mask = threads[self.emails.thread[: self.size]]
        return mask

    # --- what is not as it is now ----------------------------------------------------------------

    def touched(self) -> Mask:
        """The rows that may be something else now; a mask to write to."""
        return self._mask(self._events.rows)

    def changed(self, what: Mutable) -> Mask:
        """The Emails of then that still are, and of which something in `what` may differ."""
        mask, rows = np.zeros(self.size, np.bool_), self._events.rows
        if Mutable.MAILBOXES in what:
            mask |= self._mask(rows[self._moved])
        if Mutable.KEYWORDS in what:
            mask |= self._mask(rows[self._reflagged])
        if Mutable.THREAD_KEYWORDS in what:
            was, now = self._events.was, self._events.now
            mask |= self.whole_threads(self._mask(rows[(was != now) | (was & self._reflagged)]))
        return mask & self._visible & self._now_visible()

    def _mask(self, rows: Rows) -> Mask:
        mask = np.zeros(self.size, np.bool_)
        mask[rows] = True
        return mask

    @property
    def _reflagged(self) -> Mask:
        now = self.emails.bits[self._events.rows]
        words = max(now.shape[1], self._events.bits.shape[1])
        mask: Mask = (widen(now, words) != widen(self._events.bits, words)).any(axis=1)
        return mask

    @property
    def _moved(self) -> Mask:
        events, copies = self._events, self.emails.copies
        mask: Mask = self.emails.home_mailbox[events.rows] != events.mailbox
        if events.further or copies:
            for at, row in enumerate(events.rows.tolist()):
                if row in events.further or row in copies:
                    then = {int(events.mailbox[at]), *events.further.get(row, ())}
                    mask[at] = then != {number for number, _ in self.emails.placements(row)}
        return mask
