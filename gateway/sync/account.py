"""RFC 8620 §1.6.2: one account in memory, kept true to its IMAP server.

fresh() is what every method call begins with: unless the server was asked a moment ago, or tells of
changes by itself, it is asked what moved. indexed() is for what needs every message. What a check
finds is committed in one go; until every message is known, the indexer adds to that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial

from gateway.imap.connection import Connection
from gateway.imap.errors import ImapError, ServerBusy
from gateway.imap.pool import Pool
from gateway.obs.log import get_logger
from gateway.store.base import StoreError
from gateway.sync.added import Added
from gateway.sync.attempts import attempt
from gateway.sync.background import Background
from gateway.sync.checker import Checker, Places
from gateway.sync.committer import Committer
from gateway.sync.content import Content
from gateway.sync.data import AccountData
from gateway.sync.emails import UNKNOWN
from gateway.sync.errors import NotCommitted, Withdrawn
from gateway.sync.extent import OWN, Extent
from gateway.sync.indexer import index_account, index_structures
from gateway.sync.ledger import Ledger
from gateway.sync.listeners import Listener, Listeners
from gateway.sync.mailbox_arranging import put_back
from gateway.sync.mailbox_commands import MailboxCommands
from gateway.sync.mailbox_settings import MailboxSettings
from gateway.sync.memory import give_back
from gateway.sync.newest import Newest, Windows
from gateway.sync.placements import Placed
from gateway.sync.quotas import Quotas
from gateway.sync.reader import Reader
from gateway.sync.reports import Reports
from gateway.sync.searching import Searching
from gateway.sync.shelf import Shelf
from gateway.sync.sieve import Sieve
from gateway.sync.trust import Trust
from gateway.sync.uploads import Uploads
from gateway.sync.watcher import Watcher

CHECK_DEADLINE = 60.0
INDEX_DEADLINE = 60.0
# Indexing lets the first answers out before it takes a connection and a core for itself; so do
# the structures with those that waited for the index.
INDEX_GRACE_SECONDS = 0.3
SAVE_SECONDS = 5.0
# For so long after a request a user counts as active.
ACTIVE_SECONDS = 120.0
# Changes that come in a row are looked at together.
_COALESCE_SECONDS = 0.02
# Mailboxes are often made and renamed in a row, of which NOTIFY may tell only the first.
_LIST_AGAIN_SECONDS = 1.0
# When the server can not be asked, or has not settled, it is asked again so much later.
_RETRY_SECONDS = 2.0
# A round may miss messages that go away or change meanwhile; what three rounds do not bring is
# not to be had.
_STRUCTURE_ROUNDS = 3
# A store that fails for a moment is asked again after these.
_STORE_PAUSES = (0.1, 0.4, 1.0)
_PUSHED = ("Mailbox", "Thread", "Email", "EmailDelivery")

log = get_logger(__name__)


class Account:
    """One account of a user: its data, its connections, and the work that keeps the two together.

    The pool, the watcher and the places are those of the login, which has other accounts, too;
    extent: which mailboxes are those of this one. on_ended is called when it is superseded, or when
    nothing is shared any more.
    quotas, sieve: of the user's own account, None of what others share; sieve is None, too, where
    there is no ManageSieve server. reports: tells of the reports that arrive.
    write_lock: held by whoever changes something on the server.
    """

    def __init__(
        self,
        account_id: str,
        username: str,
        data: AccountData,
        pool: Pool,
        shelf: Shelf,
        ledger: Ledger,
        uploads: Uploads,
        quotas: Quotas | None,
        *,
        sieve: Sieve | None = None,
        watcher: Watcher,
        places: Places,
        extent: Extent = OWN,
        on_ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.id = account_id
        self.username = username
        self.data = data
        self.pool = pool
        self.uploads = uploads
        self.quotas = quotas
        self.sieve = sieve
        self.last_used = time.monotonic()
        self.was_asked = False
        self._glances = 0
        self.content = Content(Reader(data, pool), shelf)
        self.searching = Searching(data, pool, self.recheck, self.content.load_headers)
        self.write_lock = asyncio.Lock()
        self.mailbox_settings = MailboxSettings(shelf.durable, account_id)
        self.added = Added(shelf.durable, account_id)
        self.extent = extent
        self._on_ended = on_ended
        self._shelf = shelf
        self._ledger = ledger
        self._checker = Checker(data, places, extent)
        self._listeners = Listeners()
        self._announced: dict[str, str] = {}
        self._committer = Committer(
            data, self._checker, ledger, self._listeners, self._listed, on_ended
        )
        self._windows = Windows(data, pool)
        self._lock = asyncio.Lock()
        self._trust = Trust()
        self._hurry = asyncio.Event()
        self._hurry_structures = asyncio.Event()
        self._watcher = watcher.join(data, self._trust.changed.set, extent)
        self._background = Background()
        self.reports = Reports(data, self.content, self._background)

    @property
    def is_superseded(self) -> bool:
        """Whether another node has gone on with another lineage of the account.

        Then this one is to be replaced, and answers nothing any more.
        """
        return self._committer.is_superseded

    # --- freshness -------------------------------------------------------------------------------

    async def fresh(self) -> AccountData:
        """The data as of a moment ago, and later than any change that is known of.

        Raises ImapError when the server can not be asked, NotCommitted when the store can not.
        """
        if not self._glances:
            self.last_used = time.monotonic()
            self.was_asked = True
            self._watcher.active = True
        return await self.brought_up_to_date()

    async def brought_up_to_date(self) -> AccountData:
        """The same, for those who only listen."""
        for pause in (*_STORE_PAUSES, None):
            try:
                return await self._looked_at(time.monotonic())
            except NotCommitted:
                if pause is None or self.is_superseded:
                    raise
                await asyncio.sleep(pause)
        return self.data

    async def _looked_at(self, asked: float) -> AccountData:
        if self.is_superseded:
            raise NotCommitted("another node goes on with the account")
        if not (self._is_vouched_for(asked) and await self._ledger.is_current(self.data)):
            async with _deadline(CHECK_DEADLINE), self._lock:
                await self._committer.catch_up()
                if not self._is_vouched_for(asked):
                    await self._check()
        self.reports.look()
        return self.data

    @contextmanager
    def glanced_at(self) -> Iterator[None]:
        """Meanwhile it stays in memory; whoever reads is not likely to ask for more soon."""
        self._glances += 1
        try:
            yield
        finally:
            self._glances -= 1

    @asynccontextmanager
    async def unobserved(self) -> AsyncIterator[None]:
        """Meanwhile nothing is read of the account: what is half done is not for clients to see.

        Raises ServerBusy.
        """
        async with _deadline(CHECK_DEADLINE):
            await self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    async def recheck(self) -> AccountData:
        """As fresh(), when the server was found to differ from what the index says."""
        self._trust.changed.set()
        return await self.fresh()

    def mark_changed(self) -> None:
        """Something has changed on the server: looked at when asked, or now if somebody listens."""
        self._trust.changed.set()

    def _is_vouched_for(self, moment: float) -> bool:
        return self._trust.is_good(moment, vouched=self._watcher.vouches)

    async def _check(self) -> None:
        started = time.monotonic()
        self._trust.changed.clear()
        settled = False
        try:
            await self._restore()
            settled = await self._look(self._checker.check)
        finally:
            if not settled:
                self._trust.changed.set()
        self._watcher.look_seconds = self._checker.seconds
        self._trust.looked(started, self._checker.seconds)
        if not self.data.complete:
            self._background.start("index", self._index)
        elif "watch" not in self._background:
            self._after_indexing()
        elif self._ledger.is_due(self.data):
            self._background.start("save", self._save_later)
        if self.is_listened_to and self.quotas is not None and self.quotas.is_supported:
            self._background.start("quotas", self._follow_quotas)

    async def _restore(self) -> None:
        """What the store knows of mailboxes. Raises ImapError."""
        await self.mailbox_settings.restore(self.data)
        if self.mailbox_settings.aside:
            commands = MailboxCommands(self.pool, self.data.listed_names)
            await put_back(commands, self.mailbox_settings, self.data)

    async def reread(self, mailboxes: Mapping[str, Placed | None]) -> None:
        """Take in what has changed in mailboxes that were just written to, by id.

        With messages that are known to have come there. Raises ImapError, NotCommitted.
        """
        settled = False
        async with _deadline(CHECK_DEADLINE), self._lock:
            await self._committer.catch_up()
            if self.data.complete:
                settled = await self._look(partial(self._checker.read, mailboxes=mailboxes))
        if not settled:
            await self.recheck()

    async def _look(self, check: Callable[[Connection], Awaitable[bool]]) -> bool:
        """Find out what moved, and commit it; whether that is all. Raises ImapError."""
        while True:
            try:
                # The checker finds its way around a message that breaks connections.
                settled = await attempt(self.pool, check, deadline=CHECK_DEADLINE)
            except Withdrawn:
                self._on_ended()
                raise
            except ImapError:
                await self._committer.commit()
                raise
            if await self._committer.commit():
                return settled

    def _listed(self) -> None:
        """Mailboxes came, went, or have changed."""
        self._watcher.listed()
        self._background.start("list again", self._list_again)

    # --- completeness ----------------------------------------------------------------------------

    async def indexed(self) -> AccountData:
        """The data once every message is in it.

        Raises ImapError; ServerBusy when it takes longer than a client would wait.
        """
        self._hurry.set()
        async with _deadline(INDEX_DEADLINE):
            while not self.data.complete:
                await asyncio.shield(self._background.start("index", self._index))
                await self.recheck()
        return self.data

    async def _index(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), INDEX_GRACE_SECONDS)
        await index_account(self.data, self.pool)
        self._after_indexing()

    def _after_indexing(self) -> None:
        self._background.start("structures", self._structures)
        self._background.start("save", self._save_later)
        self._background.start("watch", self._watcher.run)
        self._background.start("follow", self._follow)

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
                await asyncio.shield(self._background.start("structures", self._structures))
                await self.recheck()

    async def _structures(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry_structures.wait(), INDEX_GRACE_SECONDS)
        await index_structures(self.data, self.pool)
        self._background.start("save", self._save_later)

    async def newest(self, mailbox_id: str, count: int) -> Newest | None:
        """See Windows.newest()."""
        return await self._windows.newest(mailbox_id, count)

    # --- in the background -----------------------------------------------------------------------

    async def _follow(self) -> None:
        """Commit what is heard of, while somebody listens."""
        while True:
            await self._listeners.present.wait()
            await self._trust.changed.wait()
            await asyncio.sleep(_COALESCE_SECONDS)
            with suppress(ImapError, NotCommitted):
                await self.brought_up_to_date()
            if self._trust.changed.is_set():
                await asyncio.sleep(_RETRY_SECONDS)

    async def _save_later(self) -> None:
        await asyncio.sleep(SAVE_SECONDS)
        await self.save()
        await give_back()

    async def save(self) -> None:
        """Write what changed to the store; only a complete index is worth it."""
        if not self.data.is_indexed or self.is_superseded:
            return
        try:
            await self._shelf.save(self.data)
            async with self._lock:
                await self._committer.save()
        except StoreError as error:
            log.warning("save_failed", reason=error.reason)
        except NotCommitted:
            pass  # what is here is worth nothing any more

    async def close(self) -> None:
        """Stop all work, and save; the connections are the login's.

        Then nothing that it consists of refers back to it: so the memory is free at once, and not
        when the collector passes by, which takes longer the more there is.
        """
        self._listeners.end()
        await self._background.stop()
        self._watcher.leave()
        await self.save()
        self._committer.close()
        self.searching.close()
        self._on_ended = lambda: None

    # --- who listens -----------------------------------------------------------------------------

    def states(self) -> dict[str, str]:
        """The states of all types that are pushed (RFC 8620 §7.1, RFC 8621 §1.5), as of now."""
        states = {kind: self.data.journal.state(kind) for kind in _PUSHED}
        if self.quotas is not None and self.quotas.state is not None:
            states["Quota"] = self.quotas.state
        return states | self._announced

    def announce(self, kind: str, state: str) -> None:
        """Tell of a new state of what is in no mailbox, and so is not looked for."""
        self._announced[kind] = state
        self._listeners.tell()

    def watch(self, on_news: Callable[[], None] | None = None) -> Listener:
        """Be told of changes, and have them looked for, until the listener is closed."""
        listener = self._listeners.join(on_news)
        self._watcher.active = True
        self.mark_changed()
        if "watch" not in self._background:
            self._background.start("first look", self._first_look)
        return listener

    async def _follow_quotas(self) -> None:
        if self.quotas is not None and await self.quotas.look():
            self._listeners.tell()

    async def _list_again(self) -> None:
        await asyncio.sleep(_LIST_AGAIN_SECONDS)
        self.mark_changed()

    async def _first_look(self) -> None:
        """Until a check has found all mailboxes, nothing else asks for one."""
        await self.brought_up_to_date()

    @property
    def is_listened_to(self) -> bool:
        """Whether somebody waits for changes."""
        return len(self._listeners) > 0

    @property
    def is_settled(self) -> bool:
        """Whether all there is to know of it is known: nothing is lost if it goes out of memory."""
        is_busy = self._background.runs("index", "structures", "first look")
        has_news = self._trust.changed.is_set() or self._lock.locked()  # a look is under way
        is_in_use = self._glances > 0 or self.write_lock.locked()
        return self.data.is_indexed and not (is_busy or has_news or is_in_use)

    def rest(self) -> None:
        """To be called now and then: who has not asked for long needs less attention."""
        idle = time.monotonic() - self.last_used
        self._watcher.active = self.is_listened_to or idle < ACTIVE_SECONDS

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
