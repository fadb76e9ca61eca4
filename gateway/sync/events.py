"""RFC 8620 §5.2, §5.6: what the records that one commit touched were before it.

It is enough to tell what was created, updated and destroyed, and to see the account again as it
was, for any filter and sort that the index answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.sync.arrays import Bits, Mask, Rows
from gateway.sync.keywords import widen
from gateway.sync.mailboxes import Mailbox

_FURTHER_OCTETS = 160


@dataclass(frozen=True, slots=True)
class EmailEvents:
    """Emails that a commit touched: columns of equal length, rows ascending and distinct.

    was, now: whether it was an Email before, and is one after. As it was before: bits, its
    keywords; mailbox, the number of a mailbox it was in (NOWHERE if in none); further, the numbers
    of the others, by row.
    """

    rows: Rows
    was: Mask
    now: Mask
    bits: Bits
    mailbox: npt.NDArray[np.uint16]
    further: dict[int, tuple[int, ...]]

    def part(self, events: slice) -> EmailEvents:
        """Some of the events."""
        if events.indices(len(self.rows)) == (0, len(self.rows), 1):
            return self
        which = np.zeros(len(self.rows), np.bool_)
        which[events] = True
        return self.only(which)

    def only(self, which: Mask) -> EmailEvents:
        """Those for which `which` is true."""
        rows = self.rows[which]
        kept = set(rows.tolist()) if self.further else set()
        further = {row: rest for row, rest in self.further.items() if row in kept}
        return EmailEvents(
            rows, self.was[which], self.now[which], self.bits[which], self.mailbox[which], further
        )

    def renumbered(self, numbers: Rows) -> EmailEvents:
        """The same events, where rows have other numbers (by the old ones), in the same order."""
        further = {int(numbers[row]): rest for row, rest in self.further.items()}
        return replace(self, rows=numbers[self.rows], further=further)

    @property
    def nbytes(self) -> int:
        """Octets in memory, about."""
        columns = (self.rows, self.was, self.now, self.bits, self.mailbox)
        return sum(column.nbytes for column in columns) + _FURTHER_OCTETS * len(self.further)


def no_emails() -> EmailEvents:
    """A commit that touched no Email."""
    no = np.zeros(0, np.bool_)
    rows, bits = np.zeros(0, np.int32), np.zeros((0, 1), np.uint64)
    return EmailEvents(rows, no, no, bits, np.zeros(0, np.uint16), {})


def merged(events: Sequence[EmailEvents]) -> EmailEvents:
    """Events of several commits, oldest first, as those of one."""
    events = [each for each in events if len(each.rows)]
    if not events:
        return no_emails()
    if len(events) == 1:
        return events[0]
    rows, first = np.unique(np.concatenate([each.rows for each in events]), return_index=True)
    backwards = np.concatenate([each.rows[::-1] for each in reversed(events)])
    _, last = np.unique(backwards, return_index=True)
    words = max(each.bits.shape[1] for each in events)
    further: dict[int, tuple[int, ...]] = {}
    seen: set[int] = set()
    for each in events:
        further.update((row, rest) for row, rest in each.further.items() if row not in seen)
        seen.update(each.rows.tolist())
    return EmailEvents(
        rows=rows,
        was=_joined([each.was for each in events])[first],
        now=_joined([each.now[::-1] for each in reversed(events)])[last],
        bits=_joined([widen(each.bits, words) for each in events])[first],
        mailbox=_joined([each.mailbox for each in events])[first],
        further=further,
    )


def _joined(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(columns)


@dataclass(frozen=True, slots=True)
class MailboxEvent:
    """A Mailbox that a commit touched.

    before: the Mailbox as it was, None when there was none; now: whether there is one after.
    is_listed: whether more than its counts changed.
    """

    id: str
    before: Mailbox | None
    now: bool
    is_listed: bool

    def followed_by(self, later: MailboxEvent) -> MailboxEvent:
        """Both events as one."""
        return replace(self, now=later.now, is_listed=self.is_listed or later.is_listed)


def followed(events: Iterable[MailboxEvent]) -> dict[str, MailboxEvent]:
    """Events of several commits, oldest first, as one for each Mailbox."""
    touched: dict[str, MailboxEvent] = {}
    for event in events:
        first = touched.get(event.id)
        touched[event.id] = event if first is None else first.followed_by(event)
    return touched
