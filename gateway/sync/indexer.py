"""Cold start (RFC 8621 §2, §4): from nothing to a complete index, newest messages first.

Pass 1 reads what the index is made of, mailbox by mailbox; pass 2 the body structures, from
which it is known whether a message has attachments. Connections are given back between slices,
so that a client who asks for something meanwhile does not wait for the end. A connection that
breaks is replaced, as long as the server lets in at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import numpy as np

from gateway.imap.commands.examine import Examine, Selected
from gateway.imap.commands.search import uid_search
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused
from gateway.imap.pool import Pool
from gateway.imap.wire.criteria import ALL
from gateway.obs.log import get_logger
from gateway.sync import commit
from gateway.sync.arrays import Uids
from gateway.sync.attempts import attempt
from gateway.sync.bulk import SLICE
from gateway.sync.data import AccountData
from gateway.sync.emails import UNKNOWN
from gateway.sync.errors import MailboxChanged
from gateway.sync.fetching import add_structures, add_uids
from gateway.sync.placements import NEVER_SEEN, MailboxColumns, Placed

_SLICES_A_TURN = 8
_DEADLINE = 120.0
_PATIENCE = 60.0  # seconds of a pause that a server asks for

log = get_logger(__name__)

_Read = Callable[[AccountData, Connection, MailboxColumns, Uids], Awaitable[None]]
_Left = Callable[[AccountData, MailboxColumns, Uids], Uids]


async def index_account(data: AccountData, pool: Pool) -> None:
    """Make every mailbox complete, except those that go away meanwhile.

    Raises ImapError; what was read until then stays.
    """
    todo = [(m, c) for m, c in data.selectable() if not c.complete]
    for mailbox, columns in sorted(todo, key=lambda pair: pair[0].sort_order):
        if mailbox.wire is not None and data.numbers.get(mailbox.id) == columns.number:
            try:
                await _index_mailbox(data, pool, mailbox.wire, columns.number)
            except MailboxChanged:
                continue
            except CommandRefused as refused:  # gone, which the next LIST shows, or closed to us
                log.warning("mailbox_refused", reason=str(refused))
                data.quarantine.refused(mailbox.wire)
    data.emails.trim()


async def index_structures(data: AccountData, pool: Pool) -> None:
    """Pass 2: read the structures that are not known. Raises ImapError."""
    for mailbox, columns in list(data.selectable()):
        unknown = columns.rows[data.emails.attachment[columns.rows] == UNKNOWN]
        if mailbox.wire is None or not len(unknown):
            continue
        wanted = np.isin(columns.rows, unknown) & columns.shown()
        with suppress(CommandRefused, MailboxChanged):
            uids = columns.uids[wanted]
            await _in_turns(data, pool, mailbox.wire, columns, uids, _add_structures, _unparsed)


async def _index_mailbox(data: AccountData, pool: Pool, wire: bytes, number: int) -> None:
    async def look(connection: Connection) -> tuple[MailboxColumns, Uids]:
        selected = await connection.run(Examine(wire))
        columns = begin(data, number, selected)
        return columns, np.array(await uid_search(connection, ALL), np.uint32)

    columns, uids = await attempt(pool, look, wire, deadline=_DEADLINE, patience=_PATIENCE)
    await _in_turns(data, pool, wire, columns, uids, add_known, _missing)
    columns.complete = True


async def add_known(
    data: AccountData, connection: Connection, columns: MailboxColumns, uids: Uids
) -> None:
    """Read messages of the selected mailbox that were there all along. Raises ImapError.

    Raises MailboxChanged when the mailbox left the account meanwhile.
    """

    def take(placed: Placed) -> None:
        if data.index.mailboxes.get(columns.number) is not columns:
            raise MailboxChanged("the mailbox is gone")
        commit.place(data, columns.number, placed)

    await add_uids(data, connection, columns, uids, take)


async def _add_structures(
    data: AccountData, connection: Connection, columns: MailboxColumns, uids: Uids
) -> None:
    await add_structures(data, connection, columns.number, uids)


async def _in_turns(
    data: AccountData,
    pool: Pool,
    wire: bytes,
    columns: MailboxColumns,
    uids: Uids,
    read: _Read,
    left: _Left,
) -> None:
    """Read messages of a mailbox, newest first, some slices at a time, each with a connection.

    `left` tells which of them are still to be read. Raises MailboxChanged when they mean nothing
    any more: the next LIST shows why.
    """
    descending = np.sort(left(data, columns, uids))[::-1]
    turn = SLICE * _SLICES_A_TURN
    for start in range(0, len(descending), turn):
        part = descending[start : start + turn]

        async def work(connection: Connection, part: Uids = part) -> None:
            selected = connection.selected
            if selected is None or selected.mailbox != wire:
                selected = await connection.run(Examine(wire))
            if selected.uidvalidity != columns.uidvalidity:
                raise MailboxChanged("UIDVALIDITY is another one")
            await read(data, connection, columns, left(data, columns, part))

        await attempt(pool, work, wire, deadline=_DEADLINE, patience=_PATIENCE)


def _missing(_data: AccountData, columns: MailboxColumns, uids: Uids) -> Uids:
    return uids[columns.positions(uids) < 0]


def _unparsed(data: AccountData, columns: MailboxColumns, uids: Uids) -> Uids:
    at = columns.positions(uids)
    present = at >= 0
    unknown: Uids = uids[present][data.emails.attachment[columns.rows[at[present]]] == UNKNOWN]
    return unknown


def begin(data: AccountData, number: int, selected: Selected) -> MailboxColumns:
    """The columns of a mailbox that is to be filled, as of its first SELECT.

    UIDNEXT and HIGHESTMODSEQ stay those of the first look, so that whatever changed while the
    mailbox was read is asked for afterwards.
    """
    columns = data.index.mailbox(number)
    if columns.uidvalidity != selected.uidvalidity:
        if columns.uidvalidity != NEVER_SEEN:
            commit.forget(data, number)
            columns = data.index.mailbox(number)
        columns.uidvalidity = selected.uidvalidity
        columns.uidnext = selected.uidnext or 0
        columns.highestmodseq = selected.highestmodseq
        columns.exists = selected.exists
    return columns
