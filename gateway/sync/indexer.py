"""Cold start (RFC 8621 §2, §4): from nothing to a complete index, newest messages first.

Pass 1 reads what the index is made of, mailbox by mailbox; pass 2 the body structures, from
which it is known whether a message has attachments. Connections are given back between slices,
so that a client who asks for something meanwhile does not wait for the end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import numpy as np

from gateway.imap.commands.examine import Examine, Selected
from gateway.imap.commands.search import uid_search
from gateway.imap.connection import Connection
from gateway.imap.errors import MailboxUnavailable
from gateway.imap.pool import Pool
from gateway.imap.wire.criteria import ALL
from gateway.sync.arrays import Uids
from gateway.sync.data import AccountData
from gateway.sync.emails import UNKNOWN
from gateway.sync.errors import MailboxChanged
from gateway.sync.fetching import SLICE, add_structures, add_uids
from gateway.sync.placements import MailboxColumns

_SLICES_A_TURN = 8
_DEADLINE = 120.0


async def index_account(data: AccountData, pool: Pool) -> None:
    """Make every mailbox complete, except those that go away meanwhile.

    Raises ImapError; what was read until then stays.
    """
    todo = [(m, c) for m, c in data.selectable() if not c.complete]
    for mailbox, columns in sorted(todo, key=lambda pair: pair[0].sort_order):
        if mailbox.wire is not None and data.numbers.get(mailbox.id) == columns.number:
            with suppress(MailboxUnavailable, MailboxChanged):
                await _index_mailbox(data, pool, mailbox.wire, columns.number)
    data.emails.trim()


async def index_structures(data: AccountData, pool: Pool) -> None:
    """Pass 2: read the structures that are not known. Raises ImapError."""
    for mailbox, columns in list(data.selectable()):
        unknown = columns.rows[data.emails.attachment[columns.rows] == UNKNOWN]
        if mailbox.wire is None or not len(unknown):
            continue
        wanted = np.isin(columns.rows, unknown) & columns.shown()
        with suppress(MailboxUnavailable, MailboxChanged):
            async with aclosing(_turns(pool, mailbox.wire, columns, columns.uids[wanted])) as turns:
                async for connection, uids in turns:
                    await add_structures(data, connection, columns.number, uids)


async def _index_mailbox(data: AccountData, pool: Pool, wire: bytes, number: int) -> None:
    async with pool.connection(wire, deadline=_DEADLINE, examined=False) as connection:
        selected = await connection.run(Examine(wire))
        columns = begin(data, number, selected)
        uids = np.array(await uid_search(connection, ALL), np.uint32)
    missing = uids[columns.positions(uids) < 0]
    async with aclosing(_turns(pool, wire, columns, missing)) as turns:
        async for connection, part in turns:
            await add_uids(data, connection, number, part)
    columns.complete = True


async def _turns(
    pool: Pool, wire: bytes, columns: MailboxColumns, uids: Uids
) -> AsyncGenerator[tuple[Connection, Uids], None]:
    """The UIDs of a mailbox, newest first, some slices at a time, each with a connection.

    Raises MailboxChanged when they mean nothing any more: the next LIST shows why.
    """
    descending = np.sort(uids)[::-1]
    turn = SLICE * _SLICES_A_TURN
    for start in range(0, len(descending), turn):
        async with pool.connection(wire, deadline=_DEADLINE) as connection:
            selected = connection.selected
            if selected is None or selected.uidvalidity != columns.uidvalidity:
                raise MailboxChanged("UIDVALIDITY is another one")
            yield connection, descending[start : start + turn]


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
        columns.exists = selected.exists
    return columns
