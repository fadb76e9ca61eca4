"""RFC 8620 §1.6.2: one account in memory, kept true to its IMAP server.

fresh() is what every method call begins with: unless the server was asked a moment ago, it is
asked what moved. indexed() is for what needs every message. The index is changed by one check at
a time, and by the indexer, which works on mailboxes that no check touches.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.imap.commands.examine import Examine
from gateway.imap.commands.search import uid_sort
from gateway.imap.errors import ImapError, ServerBusy
from gateway.imap.pool import Pool
from gateway.imap.wire import criteria
from gateway.obs.log import get_logger
from gateway.store.base import StoreError
from gateway.sync.arrays import Rows
from gateway.sync.attempts import attempt
from gateway.sync.checker import Checker
from gateway.sync.content import Content
from gateway.sync.data import AccountData
from gateway.sync.emails import UNKNOWN
from gateway.sync.fetching import add_uids
from gateway.sync.indexer import begin, index_account, index_structures
from gateway.sync.memory import give_back
from gateway.sync.placements import MailboxColumns
from gateway.sync.reader import Reader
from gateway.sync.searching import Searching
from gateway.sync.shelf import Shelf
from gateway.sync.watcher import watch

# A look at the server is trusted for as long as it took, times this, and never longer than a
# second: a volley of requests shares one, and looking never takes more than a small share of time.
TRUST_FACTOR = 8.0
MAX_TRUST_SECONDS = 1.0
CHECK_DEADLINE = 60.0
INDEX_DEADLINE = 60.0
# Indexing lets the first answers out before it takes a connection and a core for itself; so do
# the structures with those that waited for the index.
INDEX_GRACE_SECONDS = 0.3
SAVE_SECONDS = 5.0
# A round may miss messages that go away or change meanwhile; what three rounds do not bring is
# not to be had.
_STRUCTURE_ROUNDS = 3
WATCH_RETRY_SECONDS = 30.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest Emails of a mailbox, newest first; is_all: there are no others."""

    rows: Rows
    is_all: bool


class Account:
    """One user's account: its data, its connections, and the work that keeps the two together."""

    def __init__(
        self,
        account_id: str,
        username: str,
        data: AccountData,
        pool: Pool,
        shelf: Shelf,
    ) -> None:
        self.id = account_id
        self.username = username
        self.data = data
        self.pool = pool
        self.last_used = time.monotonic()
        self.content = Content(Reader(data, pool), shelf)
        self.searching = Searching(data, pool, self.recheck, self.content.load_headers)
        self._shelf = shelf
        self._checker = Checker(data)
        self._lock = asyncio.Lock()
        self._trusted_until = float("-inf")
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()
        self._hurry_structures = asyncio.Event()
        self._looking = asyncio.Lock()
        self._windows: dict[str, tuple[float, int, Newest | None]] = {}
        self._background: dict[str, asyncio.Task[None]] = {}

    # --- freshness -------------------------------------------------------------------------------

    async def fresh(self) -> AccountData:
        """The data as of a moment ago, and later than any change that is known of.

        Raises ImapError when the server can not be asked.
        """
        self.last_used = asked = time.monotonic()
        if not self._vouched_for(asked):
            async with _deadline(CHECK_DEADLINE), self._lock:
                if not self._vouched_for(asked):
                    await self._check()
        return self.data

    async def recheck(self) -> AccountData:
        """As fresh(), when the server was found to differ from what the index says."""
        self._changed.set()
        return await self.fresh()

    def _vouched_for(self, moment: float) -> bool:
        return not self._changed.is_set() and moment < self._trusted_until

    async def _check(self) -> None:
        started = time.monotonic()
        self._changed.clear()
        version = self.data.index.version
        settled = False
        try:
            settled = await self._checked()
        finally:
            if not settled:
                self._changed.set()
        trust = min(MAX_TRUST_SECONDS, TRUST_FACTOR * self._checker.seconds)
        self._trusted_until = started + trust
        if not self.data.complete:
            self._start("index", self._index)
        elif "watch" not in self._background:
            self._after_indexing()
        if self.data.index.version != version:
            self._start("save", self._save_later)

    async def _checked(self) -> bool:
        """Checker.check(), which finds its way around a message that breaks connections."""
        return await attempt(self.pool, self._checker.check, deadline=CHECK_DEADLINE)

    # --- completeness ----------------------------------------------------------------------------

    async def indexed(self) -> AccountData:
        """The data once every message is in it.

        Raises ImapError; ServerBusy when it takes longer than a client would wait.
        """
        self._hurry.set()
        async with _deadline(INDEX_DEADLINE):
            while not self.data.complete:
                await asyncio.shield(self._start("index", self._index))
                await self.recheck()
        return self.data

    async def _index(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), INDEX_GRACE_SECONDS)
        await index_account(self.data, self.pool)
        self._after_indexing()

    def _after_indexing(self) -> None:
        self._start("structures", self._structures)
        self._start("save", self._save_later)
        self._start("watch", self._watch)

    async def attachments_known(self) -> None:
        """Return once hasAttachment is known of every Email whose structure can be had.

        Raises ImapError.
        """
        self._hurry_structures.set()
        emails = self.data.emails
        async with _deadline(INDEX_DEADLINE):
            for _ in range(_STRUCTURE_ROUNDS):
                if not (emails.attachment[: emails.size][emails.visible()] == UNKNOWN).any():
                    return
                await asyncio.shield(self._start("structures", self._structures))
                await self.recheck()

    async def _structures(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry_structures.wait(), INDEX_GRACE_SECONDS)
        await index_structures(self.data, self.pool)
        self._start("save", self._save_later)

    async def newest(self, mailbox_id: str, count: int) -> Newest | None:
        """The newest Emails of a mailbox that is not indexed yet; None if only the index can tell.

        About `count`: fewer if some share their date with what comes next. Raises ImapError.
        """
        columns = self.data.columns(mailbox_id)
        mailbox = self.data.mailboxes.get(mailbox_id)
        if columns is None or columns.complete or mailbox is None or mailbox.wire is None:
            return None
        asked = time.monotonic()
        async with self._looking:
            # Requests that come at the same time mostly want the same: one of them looks.
            moment, most, newest = self._windows.get(mailbox_id, (float("-inf"), 0, None))
            if moment < asked or most < count:
                newest = await self._search_newest(mailbox.wire, columns, count)
                self._windows[mailbox_id] = (time.monotonic(), count, newest)
        return newest

    async def _search_newest(
        self, wire: bytes, columns: MailboxColumns, count: int
    ) -> Newest | None:
        async with self.pool.connection(
            wire, deadline=CHECK_DEADLINE, examined=False
        ) as connection:
            if "SORT" not in connection.capabilities:
                return None
            selected = connection.selected
            if selected is None or selected.mailbox != wire:
                selected = await connection.run(Examine(wire))
            columns = begin(self.data, columns.number, selected)
            undeleted = criteria.flag("\\Deleted", is_set=False)
            found = await uid_sort(connection, ("REVERSE", "ARRIVAL"), undeleted, limit=count)
            uids = np.array(found, np.uint32)
            missing = uids[columns.positions(uids) < 0]
            await add_uids(self.data, connection, columns.number, missing)
        return self._newest(columns.rows[_present(columns.positions(uids))], len(uids) < count)

    def _newest(self, rows: Rows, is_all: bool) -> Newest:
        emails = self.data.emails
        rows = np.unique(rows[emails.visible()[rows]])
        received = emails.received[rows]
        if not is_all and len(rows):
            rows = rows[received > received.min()]
        order = np.lexsort((emails.key[rows], -emails.received[rows]))
        return Newest(rows[order], is_all)

    # --- in the background -----------------------------------------------------------------------

    def _start(
        self, name: str, work: Callable[[], Coroutine[Any, Any, None]]
    ) -> asyncio.Task[None]:
        """The task of that name, started unless it is running."""
        task = self._background.get(name)
        if task is None or task.done():
            task = self._background[name] = asyncio.create_task(work(), name=name)
            task.add_done_callback(_observe)
        return task

    async def _watch(self) -> None:
        """Learn of changes of the inbox at once, as long as the account is in memory."""
        while True:
            try:
                await watch(self.data, self.pool, self._changed)
            except ImapError as error:
                log.info("watch_interrupted", reason=type(error).__name__)
            await asyncio.sleep(WATCH_RETRY_SECONDS)

    async def _save_later(self) -> None:
        await asyncio.sleep(SAVE_SECONDS)
        await self.save()
        await give_back()

    async def save(self) -> None:
        """Write what changed to the store; only a complete index is worth it."""
        if not self.data.complete:
            return
        try:
            await self._shelf.save(self.data)
        except StoreError as error:
            log.warning("save_failed", reason=error.reason)

    async def close(self) -> None:
        """Stop all work, save, and close the connections."""
        for task in self._background.values():
            task.cancel()
        await asyncio.gather(*self._background.values(), return_exceptions=True)
        await self.save()
        await self.pool.close()

    @property
    def nbytes(self) -> int:
        """Octets in memory."""
        return self.data.nbytes + self.searching.nbytes


@asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    """Raises ServerBusy when what is inside takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise ServerBusy(None, "the mail server takes too long") from error


def _present(positions: Rows) -> Rows:
    return positions[positions >= 0]


def _observe(task: asyncio.Task[None]) -> None:
    """Whoever waits for a task gets its error; if nobody does, it is only worth a line."""
    if not task.cancelled() and (error := task.exception()) is not None:
        expected = isinstance(error, ImapError)
        log.warning(
            "background_failed",
            task=task.get_name(),
            reason=type(error).__name__,
            exc_info=None if expected else error,
        )
