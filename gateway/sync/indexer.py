"""Cold start (RFC 8621 §2, §4): from nothing to a complete index, newest messages first.

Pass 1 reads what the index is made of, mailbox by mailbox; pass 2 the body structures, from
which it is known whether a message has attachments. Connections are given back between slices,
so that a client who asks for something meanwhile does not wait for the end.
"""

from __future__ import annotations

import numpy as np

from gateway.imap.commands.examine import Examine, Selected
from gateway.imap.commands.search import uid_search
from gateway.imap.pool import Pool
from gateway.imap.wire.criteria import ALL
from gateway.sync.data import AccountData
from gateway.sync.emails import UNKNOWN
from gateway.sync.fetching import SLICE, add_structures, add_uids
from gateway.sync.placements import MailboxColumns

_SLICES_A_TURN = 8
_DEADLINE = 120.0


async def index_account(data: AccountData, pool: Pool) -> None:
    """Make every mailbox complete. Raises ImapError; what was read until then stays."""
    todo = [(m, c) for m, c in data.selectable() if not c.complete]
    for mailbox, columns in sorted(todo, key=lambda pair: pair[0].sort_order):
        if mailbox.wire is not None and data.numbers.get(mailbox.id) == columns.number:
            await _index_mailbox(data, pool, mailbox.wire, columns.number)
    data.emails.trim()


async def index_structures(data: AccountData, pool: Pool) -> None:
    """Pass 2: read the structures that are not known. Raises ImapError."""
    for mailbox, columns in list(data.selectable()):
        unknown = columns.rows[data.emails.attachment[columns.rows] == UNKNOWN]
        if mailbox.wire is None or not len(unknown):
            continue
        wanted = np.isin(columns.rows, unknown) & columns.shown()
        uids = columns.uids[wanted][::-1]
        turn = SLICE * _SLICES_A_TURN
        for start in range(0, len(uids), turn):
            async with pool.connection(mailbox.wire, deadline=_DEADLINE) as connection:
                selected = connection.selected
                if selected is None or selected.uidvalidity != columns.uidvalidity:
                    break
                part = uids[start : start + turn]
                await add_structures(data, connection, columns.number, part)


async def _index_mailbox(data: AccountData, pool: Pool, wire: bytes, number: int) -> None:
    async with pool.connection(wire, deadline=_DEADLINE, examined=False) as connection:
        selected = await connection.run(Examine(wire))
        columns = begin(data, number, selected)
        uids = np.array(await uid_search(connection, ALL), np.uint32)
    missing = np.sort(uids[columns.positions(uids) < 0])[::-1]
    turn = SLICE * _SLICES_A_TURN
    for start in range(0, len(missing), turn):
        async with pool.connection(wire, deadline=_DEADLINE) as connection:
            selected_now = connection.selected
            if selected_now is None or selected_now.uidvalidity != columns.uidvalidity:
                return  # the next LIST shows it, and the mailbox is begun anew
            await add_uids(data, connection, number, missing[start : start + turn])
    columns.complete = True


def begin(data: AccountData, number: int, selected: Selected) -> MailboxColumns:
    """The columns of a mailbox that is to be filled, as of its first SELECT.

    UIDNEXT and HIGHESTMODSEQ stay those of the first look, so that whatever changed while the
    mailbox was read is asked for afterwards.
    """
    columns = data.index.mailbox(number)
    if columns.uidvalidity != selected.uidvalidity:
        data.index.drop(number)
        columns = data.index.mailbox(number)
        columns.uidvalidity = selected.uidvalidity
        columns.uidnext = selected.uidnext or 0
        columns.highestmodseq = selected.highestmodseq
    return columns
