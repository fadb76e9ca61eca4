"""RFC 8620 §5.2: what Emails were before a commit, noted as the index is about to change them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gateway.sync.arrays import Rows, distinct
from gateway.sync.emails import NOWHERE, EmailTable
from gateway.sync.events import EmailEvents, merged, no_emails
from gateway.sync.keywords import widen


class Recorder:
    """Keeps the first state of each Email that it is told of; see `AccountIndex.recorder`."""

    def __init__(self, emails: EmailTable) -> None:
        self._emails = emails
        self._notes: list[EmailEvents] = []

    def note(self, rows: Rows) -> None:
        """Rows that are about to change, possibly some of them more than once."""
        emails = self._emails
        rows = distinct(rows, emails.size).astype(np.int32)
        was = emails.home_mailbox[rows] != NOWHERE
        bits, mailbox = emails.bits[rows], emails.home_mailbox[rows]
        further = {row: _further(emails, row) for row in rows.tolist() if row in emails.copies}
        self._notes.append(EmailEvents(rows, was, was, bits, mailbox, further))

    def events(self) -> EmailEvents:
        """The Emails that are another now than when they were first noted."""
        noted = merged(self._notes)
        if not len(noted.rows):
            return no_emails()
        emails, rows = self._emails, noted.rows
        now = emails.home_mailbox[rows] != NOWHERE
        words = max(noted.bits.shape[1], emails.bits.shape[1])
        other = (widen(noted.bits, words) != widen(emails.bits[rows], words)).any(axis=1)
        moved = noted.mailbox != emails.home_mailbox[rows]
        changed = (noted.was != now) | (noted.was & now & (other | moved))
        for row in set(rows.tolist()) & (noted.further.keys() | emails.copies.keys()):
            at = int(np.searchsorted(rows, row))
            if noted.was[at] and now[at]:
                before = {int(noted.mailbox[at]), *noted.further.get(row, ())}
                changed[at] = other[at] or before != {n for n, _ in emails.placements(row)}
        return replace(noted, now=now).only(changed)


def _further(emails: EmailTable, row: int) -> tuple[int, ...]:
    """The numbers of the mailboxes of a row besides the first."""
    first, *rest = (number for number, _ in emails.placements(row))
    return tuple(sorted({*rest} - {first}))
