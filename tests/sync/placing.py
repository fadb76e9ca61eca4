"""Messages straight into an index, without a server."""

from __future__ import annotations

from gateway.sync.arrays import Rows
from gateway.sync.index import AccountIndex, Arrivals
from gateway.sync.placements import Placed


def add(index: AccountIndex, number: int, arrivals: Arrivals) -> tuple[Rows, Rows]:
    """Rows of messages that appear in a mailbox, and positions of those that made new rows."""
    rows, made = index.rows_of(arrivals)
    index.place(number, Placed(arrivals.uids, rows, arrivals.bits, arrivals.modseqs))
    return rows, made


def rows_in(index: AccountIndex, number: int) -> list[int]:
    """Rows of the Emails in a mailbox, each once."""
    columns = index.mailbox(number)
    return sorted({*columns.rows[columns.shown()].tolist()})
