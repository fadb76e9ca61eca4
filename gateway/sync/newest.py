"""RFC 8621 §4.4, cold start: the newest Emails of a mailbox that is not indexed yet."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.imap.commands.examine import Examine
from gateway.imap.commands.search import uid_sort
from gateway.imap.pool import Pool
from gateway.imap.wire import criteria
from gateway.sync.arrays import Rows
from gateway.sync.data import AccountData
from gateway.sync.indexer import add_known, begin
from gateway.sync.placements import MailboxColumns

DEADLINE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest Emails of a mailbox, newest first; is_all: there are no others."""

    rows: Rows
    is_all: bool


class Windows:
    """Looks for the newest messages of mailboxes, until they are indexed."""

    def __init__(self, data: AccountData, pool: Pool) -> None:
        self._data = data
        self._pool = pool
        self._looking = asyncio.Lock()
        self._found: dict[str, tuple[float, int, Newest | None]] = {}

    async def newest(self, mailbox_id: str, count: int) -> Newest | None:
        """The newest Emails of a mailbox that is not indexed yet; None if only the index can tell.

        About `count`: fewer if some share their date with what comes next. Raises ImapError.
        """
        columns = self._data.columns(mailbox_id)
        mailbox = self._data.mailboxes.get(mailbox_id)
        if columns is None or columns.complete or mailbox is None or mailbox.wire is None:
            return None
        asked = time.monotonic()
        async with self._looking:
            # Requests that come at the same time mostly want the same: one of them looks.
            moment, most, newest = self._found.get(mailbox_id, (float("-inf"), 0, None))
            if moment < asked or most < count:
                newest = await self._search(mailbox.wire, columns, count)
                self._found[mailbox_id] = (time.monotonic(), count, newest)
        return newest

    async def _search(self, wire: bytes, columns: MailboxColumns, count: int) -> Newest | None:
        async with self._pool.connection(wire, deadline=DEADLINE, examined=False) as connection:
            if "SORT" not in connection.capabilities:
                return None
            selected = connection.selected
            if selected is None or selected.mailbox != wire:
                selected = await connection.run(Examine(wire))
            if columns.complete:
                return None
            columns = begin(self._data, columns.number, selected)
            undeleted = criteria.flag("\\Deleted", is_set=False)
            found = await uid_sort(connection, ("REVERSE", "ARRIVAL"), undeleted, limit=count)
            uids = np.array(found, np.uint32)
            missing = uids[columns.positions(uids) < 0]
            await add_known(self._data, connection, columns, missing)
        positions = columns.positions(uids)
        return self._newest(columns.rows[positions[positions >= 0]], len(uids) < count)

    def _newest(self, rows: Rows, is_all: bool) -> Newest:
        emails = self._data.emails
        rows = np.unique(rows[emails.visible()[rows]])
        received = emails.received[rows]
        if not is_all and len(rows):
            rows = rows[received > received.min()]
        order = np.lexsort((emails.key[rows], -emails.received[rows]))
        return Newest(rows[order], is_all)
