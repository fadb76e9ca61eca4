"""RFC 8621 §7: which of the mail that arrives are reports of deliveries or of dispositions.

Their structures tell it, which are read of new mail anyway. Nothing is done for accounts in which
nobody wants to know.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import numpy as np

from gateway.imap.errors import ImapError
from gateway.mime.reports import is_report
from gateway.obs.log import get_logger
from gateway.sync.background import Background
from gateway.sync.content import Content, Want
from gateway.sync.data import AccountData
from gateway.sync.errors import NotCommitted

Tell = Callable[[str], Awaitable[None]]
"""Takes the id of an Email that is a report.

If it raises ImapError or NotCommitted it is told again after a while, and so are all that were told
along with it.
"""

TELL_DEADLINE: Final = 60.0
RETRY_SECONDS: Final = 60.0
_SLICE: Final = 256

log = get_logger(__name__)


class Reports:
    """The reports among the Emails of an account, told to one who follows them."""

    def __init__(self, data: AccountData, content: Content, background: Background) -> None:
        self._data = data
        self._content = content
        self._background = background
        self._tell: Tell | None = None
        self._since = 0.0
        self._done = 0  # rows of the index that were looked at
        self._not_before = 0.0

    def follow(self, tell: Tell, since: float) -> None:
        """Have `tell` called with each report received `since` (seconds since 1970), and to come.

        In the order of receipt, one after the other, for as long as the account is in memory. Who
        follows again is told again only if it is of an earlier time. The same report may be told
        several times, and has to count once. `tell` takes the place of who followed before.
        """
        if self._tell is None or since < self._since:
            self._since, self._done = since, 0
        self._tell = tell
        self.look()

    def leave(self) -> None:
        """Nobody wants to know any more."""
        self._tell = None

    def look(self) -> None:
        """To be called when there may be new mail."""
        if self._is_behind() and time.monotonic() >= self._not_before:
            self._background.start("reports", self._catch_up)

    def _is_behind(self) -> bool:
        data = self._data
        return self._tell is not None and data.is_indexed and self._done < data.committed.rows

    async def _catch_up(self) -> None:
        # A failure is noted as one before it can happen, whatever it will be.
        self._not_before = time.monotonic() + RETRY_SECONDS
        while self._is_behind():
            try:
                await self._tell_next()
            except (ImapError, NotCommitted, TimeoutError) as error:
                log.warning("reports_not_told", reason=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
        self._not_before = 0.0

    async def _tell_next(self) -> None:
        """Tell of the reports among all rows that are there now. Raises what telling raises."""
        start, end, since = self._done, self._data.committed.rows, self._since
        emails = self._data.emails
        recent = emails.visible()[start:end] & (emails.received[start:end] >= since)
        rows = start + np.flatnonzero(recent)
        order = np.argsort(emails.received[rows], kind="stable")
        for row in await self._found(rows[order].tolist()):
            async with asyncio.timeout(TELL_DEADLINE):
                if self._tell is not None:
                    await self._tell(emails.id(row))
        if since == self._since:  # else somebody wants to know of earlier ones
            self._done = end

    async def _found(self, rows: list[int]) -> list[int]:
        """Those that are reports. Raises ImapError."""
        found = []
        for start in range(0, len(rows), _SLICE):
            some = rows[start : start + _SLICE]
            gone = await self._content.read(some, (Want.STRUCTURE,))
            found += [
                row for row in some if row not in gone and is_report(self._content.structure(row))
            ]
        return found
