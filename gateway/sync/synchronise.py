"""RFC 7162, RFC 9051 §6.3: bring the columns of one mailbox to what the server has now.

A ladder: QRESYNC tells what changed and what vanished; CONDSTORE what changed, and the UIDs that
are left are asked for; without both, flags and UIDs of all messages are compared. Whatever is
found is in the index before the new UIDNEXT and HIGHESTMODSEQ are, so an interruption costs a
repetition and never a change.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.imap.commands.examine import Examine, Selected
from gateway.imap.commands.fetch import Fetch, Fetched
from gateway.imap.commands.search import uid_search
from gateway.imap.connection import Connection
from gateway.imap.wire import items
from gateway.imap.wire.criteria import ALL
from gateway.sync.arrays import Mask, Uids
from gateway.sync.data import AccountData
from gateway.sync.fetching import SLICE, add_uids
from gateway.sync.placements import MailboxColumns

_FLAGS_AND_MODSEQ = (items.UID, items.FLAGS, items.MODSEQ)


async def synchronise(data: AccountData, connection: Connection, wire: bytes, number: int) -> None:
    """Bring a mailbox that is complete in the index up to date.

    Raises ImapError; MailboxUnavailable when the mailbox is gone. With another UIDVALIDITY all
    of it is read anew: the messages keep their ids, as those do not depend on UIDs.
    """
    selected = await connection.run(Examine(wire))
    columns = data.index.mailbox(number)
    if selected.uidvalidity != columns.uidvalidity:
        data.index.drop(number)
        columns = data.index.mailbox(number)
        columns.uidvalidity = selected.uidvalidity
        columns.complete = True
    else:
        await _flags_and_expunges(data, connection, columns, selected)
    await _arrivals(data, connection, columns, selected)
    if len(columns.uids) != selected.exists:
        await _reconcile(data, connection, columns)
    columns.uidnext = selected.uidnext or 0
    columns.highestmodseq = selected.highestmodseq
    columns.exists = selected.exists


async def _flags_and_expunges(
    data: AccountData, connection: Connection, columns: MailboxColumns, selected: Selected
) -> None:
    if not len(columns.uids):
        return
    known = b"1:%d" % int(columns.uids[-1])
    since = columns.highestmodseq
    reliable = since is not None and (selected.highestmodseq or 0) >= since
    if reliable and selected.highestmodseq == since and len(columns.uids) == selected.exists:
        return
    if reliable and "QRESYNC" in connection.enabled:
        changed = Fetch(known, _FLAGS_AND_MODSEQ, changed_since=since, vanished=True)
        fetched = await connection.run(changed)
        data.index.expunge(columns.number, _within(columns.uids, fetched.vanished))
        _set_flags(data, columns, fetched)
    elif reliable and "CONDSTORE" in connection.enabled:
        changed = Fetch(known, _FLAGS_AND_MODSEQ, changed_since=since)
        _set_flags(data, columns, await connection.run(changed))
    else:
        fetched = await connection.run(Fetch(known, (items.UID, items.FLAGS)))
        left = np.array([row.uid for row in fetched.rows], np.uint32)
        data.index.expunge(columns.number, ~np.isin(columns.uids, left))
        _set_flags(data, columns, fetched)


def _within(uids: Uids, ranges: Sequence[tuple[int, int]]) -> Mask:
    """Which UIDs lie in one of the ranges, both ends included."""
    mask = np.zeros(len(uids), np.bool_)
    for first, last in ranges:
        start, end = np.searchsorted(uids, [first, last + 1])
        mask[start:end] = True
    return mask


def _set_flags(data: AccountData, columns: MailboxColumns, fetched: Fetched) -> None:
    rows = [row for row in fetched.rows if row.flags is not None]
    if rows:
        data.index.set_flags(
            columns.number,
            np.array([row.uid for row in rows], np.uint32),
            data.index.keywords.parse_column([" ".join(row.flags or ()).encode() for row in rows]),
            np.array([row.modseq or 0 for row in rows], np.uint64),
        )


async def _arrivals(
    data: AccountData, connection: Connection, columns: MailboxColumns, selected: Selected
) -> None:
    """Read what came after the last UID that is known."""
    last = int(columns.uids[-1]) if len(columns.uids) else 0
    uidnext = selected.uidnext
    if not selected.exists or (uidnext is not None and uidnext <= last + 1):
        return
    if uidnext is not None and uidnext - last <= SLICE:
        fresh = np.arange(last + 1, uidnext, dtype=np.uint32)
    else:
        found = np.array(await uid_search(connection, ALL), np.uint32)
        fresh = found[found > last]
    await add_uids(data, connection, columns.number, fresh)


async def _reconcile(data: AccountData, connection: Connection, columns: MailboxColumns) -> None:
    """The counts disagree: compare all UIDs.

    Costs one SEARCH, and happens only when something was missed: CONDSTORE without QRESYNC has no
    other way to learn of expunges.
    """
    uids = np.array(await uid_search(connection, ALL), np.uint32)
    data.index.expunge(columns.number, ~np.isin(columns.uids, uids))
    missing = np.setdiff1d(uids, columns.uids)
    await add_uids(data, connection, columns.number, missing)
