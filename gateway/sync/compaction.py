"""Design §6: rows of the Email table that nobody needs any more are taken out.

Rows are only ever appended while an account is in memory: searches, orders and records speak of
them. So it is done when an account is loaded, and gives the rows other numbers, in the same order;
ids and states, also those inside an entry of the log, are what they were. Records that were made
with other numbers are of no use then: `AccountData.numbering` tells which ones these are.
"""

from __future__ import annotations

import secrets
from typing import Final

import numpy as np

from gateway.sync.arrays import Rows
from gateway.sync.data import AccountData, Committed

SPARE_ROWS: Final = 1000
"""So many rows may be of no use, besides as many as are needed."""
NUMBERING_OCTETS: Final = 6


def needed(data: AccountData) -> Rows:
    r"""The rows of Emails, of messages with \Deleted, and of what the journal speaks of."""
    mask = data.emails.visible()
    for columns in data.index.mailboxes.values():
        mask[columns.rows] = True
    for entry in data.journal.entries:
        mask[entry.emails.rows] = True
    return np.flatnonzero(mask).astype(np.int32)


def is_worth_it(data: AccountData, rows: Rows) -> bool:
    """Whether so much can go that only the `rows` should stay."""
    return data.emails.size > 2 * len(rows) + SPARE_ROWS


def compact(data: AccountData, rows: Rows) -> None:
    """Let only `rows` stay, ascending, all that are needed among them.

    Nothing may be under way that knows rows: nothing is read that is not committed.
    """
    numbers = np.full(data.emails.size, -1, np.int32)
    numbers[rows] = np.arange(len(rows))
    data.index.emails = data.emails.only(rows)
    for columns in data.index.mailboxes.values():
        columns.rows = numbers[columns.rows]
    data.journal = data.journal.renumbered(numbers)
    for column in data.strings.values():
        column.renumber(rows)
    data.orders.clear()
    data.committed = Committed.of(data.index)
    data.numbering = secrets.token_urlsafe(NUMBERING_OCTETS)
