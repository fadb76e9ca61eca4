"""RFC 7162, RFC 9051 §6.3: bring the columns of one mailbox to what the server has now.

What is worked on is a draft, which becomes what the account is once all was read. There is a
ladder, of which each mailbox takes the step it can: QRESYNC tells what changed and what vanished;
CONDSTORE what changed, and the UIDs that are left are asked for; without both, flags and UIDs of
all messages are compared. Whatever is found is in the draft before the new UIDNEXT and
HIGHESTMODSEQ are, so an interruption costs a repetition and never a change. That a message is not
in an answer says that it is gone only where the answer is whole.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from enum import Enum

import numpy as np

from gateway.imap.commands.examine import Examine, Selected
from gateway.imap.commands.fetch_changes import FetchChanges, FlagChanges
from gateway.imap.commands.search import uid_search
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused
from gateway.imap.wire import items
from gateway.imap.wire.criteria import ALL
from gateway.imap.wire.fetchshape import Columns
from gateway.sync.arrays import Mask, Uids
from gateway.sync.bulk import SLICE
from gateway.sync.data import AccountData
from gateway.sync.fetching import add_uids
from gateway.sync.ingest import numbers
from gateway.sync.placements import MailboxColumns, Placed

_NONE = np.zeros(0, np.uint32)
_FLAGS_AND_MODSEQ = (items.UID, items.FLAGS, items.MODSEQ)


class Step(Enum):
    """How changes of flags and expunges are learnt of."""

    QRESYNC = "FETCH (CHANGEDSINCE VANISHED)"
    CONDSTORE = "FETCH (CHANGEDSINCE)"
    PLAIN = "FETCH"


async def synchronise(
    data: AccountData,
    connection: Connection,
    wire: bytes,
    columns: MailboxColumns,
    since: int | None = None,
    added: Placed | None = None,
) -> None:
    """Bring the draft of a mailbox up to date.

    since: a mod-sequence to ask for changes from, lower than the one that is known. added: messages
    that are known to have come, by way of a COPY; of these no more than the flags is read, where
    the server tells what vanished since. Raises ImapError; MailboxUnavailable when the mailbox is
    gone. With another UIDVALIDITY all of it is read anew: the messages keep their ids, as those do
    not depend on UIDs.
    """
    selected = await connection.run(Examine(wire))
    data.quarantine.saw(wire, selected.uidvalidity)
    if selected.uidvalidity != columns.uidvalidity:
        columns.begin_anew(selected.uidvalidity)
    else:
        if _step(connection, columns, selected) is not Step.QRESYNC or added is None:
            added = Placed.none()
        copies = added.uids[columns.positions(added.uids) < 0]
        columns.add(added)
        told = await _flags_and_expunges(data, connection, columns, selected, since)
        # Their flags were a guess. Those of which nothing was told are read as any other mail.
        columns.remove(np.isin(columns.uids, np.setdiff1d(copies, told)))
    await _arrivals(data, connection, columns, selected)
    if len(columns.uids) + columns.trouble.hopeless != selected.exists:
        await _reconcile(data, connection, columns, selected)
    columns.uidnext = selected.uidnext or 0
    columns.highestmodseq = selected.highestmodseq or None
    columns.exists = selected.exists


async def _flags_and_expunges(
    data: AccountData,
    connection: Connection,
    columns: MailboxColumns,
    selected: Selected,
    since: int | None,
) -> Uids:
    """The UIDs of which the server has told something."""
    if not len(columns.uids):
        return _NONE
    held = len(columns.uids) + columns.trouble.hopeless
    step = _step(connection, columns, selected)
    is_same = step is not Step.PLAIN and selected.highestmodseq == columns.highestmodseq
    if is_same and since is None and held == selected.exists:
        return _NONE
    known = columns.highestmodseq or 1
    changed_since = None if step is Step.PLAIN else min(known, since or known)
    fetched = await _fetch(connection, columns, step, changed_since)
    uids = numbers(fetched.columns.uid).astype(np.uint32)
    if step is Step.QRESYNC:
        columns.remove(_within(columns.uids, fetched.vanished))
    elif step is Step.PLAIN and not fetched.lacks and _is_whole(connection, selected, uids):
        columns.remove(~np.isin(columns.uids, uids))
    return _set_flags(data, columns, uids, fetched.columns)


def _step(connection: Connection, columns: MailboxColumns, selected: Selected) -> Step:
    """The best step of the ladder for the selected mailbox.

    RFC 7162 §3.1.2.2: some mailboxes have no mod-sequences. One that is lower than before tells
    nothing of what changed since.
    """
    known, now = columns.highestmodseq, selected.highestmodseq
    if not connection.has_modseqs or not known or not now or now < known:
        return Step.PLAIN
    return Step.QRESYNC if "QRESYNC" in connection.enabled else Step.CONDSTORE


async def _fetch(
    connection: Connection, columns: MailboxColumns, step: Step, since: int | None
) -> FlagChanges:
    """Flags of the messages that changed, or of all; Exchange refuses, and gives most of them."""
    known = b"1:%d" % int(columns.uids[-1])
    asked = (items.UID, items.FLAGS) if step is Step.PLAIN else _FLAGS_AND_MODSEQ
    command = FetchChanges(known, asked, since, vanished=step is Step.QRESYNC)
    try:
        return await connection.run(command)
    except CommandRefused as refused:
        partial = refused.partial
        if step is not Step.PLAIN or not isinstance(partial, FlagChanges) or not partial.columns:
            raise
        partial.lacks = True
        return partial


def _within(uids: Uids, ranges: Sequence[tuple[int, int]]) -> Mask:
    """Which UIDs lie in one of the ranges, both ends included."""
    mask = np.zeros(len(uids), np.bool_)
    for first, last in ranges:
        start, end = np.searchsorted(uids, [first, last + 1])
        mask[start:end] = True
    return mask


def _set_flags(data: AccountData, columns: MailboxColumns, uids: Uids, found: Columns) -> Uids:
    flags = [each for each in found.flags if each is not None]
    told = np.array([each is not None for each in found.flags], np.bool_)
    modseqs = (
        numbers([each or b"0" for each in found.modseq]) if found.modseq else np.zeros(len(uids))
    )
    columns.set_flags(
        uids[told], data.index.keywords.parse_column(flags), modseqs[told].astype(np.uint64)
    )
    return uids[told]


async def _arrivals(
    data: AccountData, connection: Connection, columns: MailboxColumns, selected: Selected
) -> None:
    """Read what came after the last UID that is known."""
    last = int(columns.uids[-1]) if len(columns.uids) else 0
    uidnext = selected.uidnext
    if not selected.exists or (uidnext is not None and uidnext <= last + 1):
        return
    guessed = uidnext is not None and uidnext - last <= SLICE
    if uidnext is not None and guessed:
        fresh = np.arange(last + 1, uidnext, dtype=np.uint32)
    else:
        found = np.array(await uid_search(connection, ALL), np.uint32)
        fresh = found[found > last]
    await add_uids(data, connection, columns, fresh, columns.add, guessed=guessed)


async def _reconcile(
    data: AccountData, connection: Connection, columns: MailboxColumns, selected: Selected
) -> None:
    """The counts disagree: compare all UIDs.

    Costs one SEARCH, and happens only when something was missed: CONDSTORE without QRESYNC has no
    other way to learn of expunges.
    """
    uids = np.array(await uid_search(connection, ALL), np.uint32)
    if _is_whole(connection, selected, uids):
        columns.trouble.settle(uids)
        columns.remove(~np.isin(columns.uids, uids))
    missing = np.setdiff1d(uids, columns.uids)
    await add_uids(data, connection, columns, missing, columns.add)


def _is_whole(connection: Connection, selected: Selected, found: Sized) -> bool:
    """RFC 9738: a server that limits what it shows may have shown less than there is."""
    return connection.max_messages is None or len(found) >= selected.exists
