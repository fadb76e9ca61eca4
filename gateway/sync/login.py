"""RFC 8620 §1.6.2: one user's accounts: the own one, and those that others share, over one pool.

What is shared is known by its list alone until somebody asks for it. An account comes into memory
then, and goes when nobody has used it for a while; the connections, and the one that learns of
changes, are the same for all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf
from typing import Final

from gateway.imap.commands.list import list_mailboxes
from gateway.imap.commands.namespace import Namespace, Namespaces
from gateway.imap.commands.status import has_x_guid
from gateway.imap.connection import Connection
from gateway.imap.errors import AuthenticationFailed, ImapError
from gateway.imap.pool import Pool
from gateway.imap.quirks import NO_X_GUID
from gateway.obs.log import get_logger
from gateway.sasl import AnyCredentials
from gateway.store.base import Store, StoreError
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.attempts import attempt
from gateway.sync.checker import Places
from gateway.sync.data import AccountData
from gateway.sync.door import Door, Settings
from gateway.sync.extent import OWN, Extent
from gateway.sync.identity import Tier
from gateway.sync.journal import Journal
from gateway.sync.ledger import Ledger, new_epoch
from gateway.sync.quotas import Quotas
from gateway.sync.shares import Share, Shares
from gateway.sync.shelf import Shelf
from gateway.sync.sieve import Sieve
from gateway.sync.sieve_access import SieveAccess, SieveServer
from gateway.sync.uploads import Uploads
from gateway.sync.watcher import Watcher

SHARES_SECONDS: Final = 60.0
"""What is shared may have changed so long ago, unless somebody wants to know better."""
ANEW_SECONDS: Final = 30.0
"""Dovecot lists other users as it found them when a session first did, or an hour ago. So whoever
wants to know better has a new session look, if the latest one that did is older than that."""
_LOOK_DEADLINE: Final = 20.0

log = get_logger(__name__)


class Login:
    """A user whom the IMAP server lets in. Get one from `Login.begin`.

    own: the user's own account. followers: called when what is shared has changed, and when a
    shared account comes into memory.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        username: str,
        door: Door,
        ledger: Ledger,
        data: AccountData,
        on_ended: Callable[[Login], None],
        *,
        has_quota: bool,
        sieve_server: SieveServer | None = None,
    ) -> None:
        self.username = username
        self.door = door
        self.followers: set[Callable[[], None]] = set()
        self._settings = settings
        self._store = store
        self._on_ended = on_ended
        self._pool = Pool(self._connect, settings.connections, settings.idle_seconds)
        self._quotas = Quotas(self._pool, is_supported=has_quota)
        self._watcher = Watcher(self._pool, server_events=settings.server_events)
        self._places = Places(data)
        self._shares = Shares(settings.backend, username, self._places)
        self._shared: dict[str, Account] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._looking: asyncio.Task[None] | None = None
        self._anew_at = time.monotonic()  # the user has logged in just now
        self._leaving: set[asyncio.Task[None]] = set()
        account_id = ids.account_id(settings.backend, username)
        self._sieve = self._sieve_of(account_id, sieve_server) if sieve_server is not None else None
        self.own = self._make(account_id, data, ledger, OWN)

    @classmethod
    async def begin(
        cls,
        settings: Settings,
        store: Store,
        username: str,
        door: Door,
        connection: Connection,
        on_ended: Callable[[Login], None],
        sieve_server: SieveServer | None = None,
    ) -> Login:
        """Bring the own account of a user into memory, who is logged in on a connection.

        `on_ended` is called when the login is over: whoever comes next has to log in anew. Raises
        ImapError.
        """
        ledger = Ledger(store, ids.account_id(settings.backend, username))
        data = await _load(ledger)
        if data is None:
            data = AccountData(await _tier(connection), Journal(new_epoch()))
        has_quota = "QUOTA" in connection.capabilities
        login = cls(
            settings,
            store,
            username,
            door,
            ledger,
            data,
            on_ended,
            has_quota=has_quota,
            sieve_server=sieve_server,
        )
        login._pool.adopt(connection)
        if sieve_server is not None and login._sieve is not None:
            await sieve_server.introduce(login._sieve.access)
        return login

    def _sieve_of(self, account_id: str, server: SieveServer) -> Sieve:
        def credentials() -> AnyCredentials:
            return self.door.credentials

        return Sieve(SieveAccess(server, credentials), self._store.durable, account_id)

    async def _connect(self) -> Connection:
        try:
            return await self.door.open()
        except AuthenticationFailed:
            self._on_ended(self)
            raise

    def _make(self, account_id: str, data: AccountData, ledger: Ledger, extent: Extent) -> Account:
        return Account(
            account_id,
            self.username,
            data,
            self._pool,
            Shelf(self._store, account_id),
            ledger,
            Uploads(self._store.durable, account_id, self._settings.upload_quota),
            self._quotas if extent == OWN else None,
            sieve=self._sieve if extent == OWN else None,
            watcher=self._watcher,
            places=self._places,
            extent=extent,
            on_ended=lambda: self._ended(account_id),
        )

    async def lend(self, connection: Connection) -> None:
        """A connection of another log-in is of use, unless there are enough of them."""
        if self._pool.count < self._settings.connections:
            self._pool.adopt(connection)
        else:
            await connection.close()

    # --- what is shared --------------------------------------------------------------------------

    @property
    def shares(self) -> Mapping[str, Share]:
        """What others share with the user, by account id, as of the last look."""
        return self._shares.by_id

    @property
    def namespaces(self) -> Namespaces | None:
        """Whose mailboxes are where on the server, as far as is known."""
        return self._places.known

    @property
    def knows_shares(self) -> bool:
        """Whether that is known at all."""
        return self._shares.looked_at is not None

    async def look(self, seconds: float = SHARES_SECONDS) -> None:
        """Know what is shared, as of so many seconds ago at most.

        What is known stays so if the server can not be asked; ImapError if that is nothing.
        """
        moment = self._shares.looked_at
        if moment is not None and time.monotonic() - moment < seconds:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(anew=seconds < SHARES_SECONDS))
        # Who goes away must not cut the connection of the others.
        await asyncio.shield(self._looking)

    def look_later(self) -> None:
        """Look for what is shared if it was long ago, and wait for nothing."""
        moment = self._shares.looked_at
        is_old = moment is None or time.monotonic() - moment > SHARES_SECONDS
        if is_old and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look(anew=False))
            self._looking.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _look(self, *, anew: bool) -> None:
        before = self.shares
        try:
            if not (anew and await self._look_anew()):
                await attempt(self._pool, self._shares.look, deadline=_LOOK_DEADLINE)
        except ImapError as error:
            if self._shares.looked_at is None and not before:
                raise
            log.info("shares_unknown", reason=type(error).__name__)
            return
        for account_id in self._shared.keys() - self.shares.keys():
            self._leave(account_id)
        if self.shares != before:
            self._tell()

    async def _look_anew(self) -> bool:
        """Look by a new session, if one is needed and can be had."""
        now, known = time.monotonic(), self.namespaces
        if known is None or not known.other or now - self._anew_at < ANEW_SECONDS:
            return False
        try:
            async with asyncio.timeout(_LOOK_DEADLINE):
                connection = await self.door.open()
                try:
                    await self._shares.look(connection)
                finally:
                    await self.lend(connection)
        except (ImapError, TimeoutError) as error:
            log.info("no_new_session", reason=type(error).__name__)
            return False
        self._anew_at = now
        return True

    def _tell(self) -> None:
        for follower in [*self.followers]:
            follower()

    # --- accounts in memory ----------------------------------------------------------------------

    @property
    def accounts(self) -> dict[str, Account]:
        """The accounts in memory, by id; the user's own one first."""
        return {self.own.id: self.own, **self._shared}

    @property
    def asked_at(self) -> float:
        """The moment of time.monotonic() at which a client asked for something last."""
        used = [account.last_used for account in self.accounts.values() if account.was_asked]
        return max(used, default=-inf)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is lost if the accounts go out of memory."""
        return all(account.is_settled for account in self.accounts.values())

    async def open(self, account_id: str) -> Account | None:
        """The account of that id, brought into memory if need be; None if the user has no such."""
        if account_id == self.own.id:
            return self.own
        async with self._opening.setdefault(account_id, asyncio.Lock()):
            share = self.shares.get(account_id)
            if share is None:
                return None
            account = self._shared.get(account_id)
            if account is None:
                account = self._shared[account_id] = await self._open(share)
                self._tell()
        account.last_used = time.monotonic()
        return account

    async def _open(self, share: Share) -> Account:
        ledger = Ledger(self._store, share.id)
        data = await _load(ledger)
        if data is None:
            data = AccountData(self.own.data.tier, Journal(new_epoch()))
        # Seen from there, the names below its root are the personal ones (RFC 2342).
        extent = share.extent
        prefix = extent.root + (extent.delimiter or "") if extent.root else ""
        data.namespaces = Namespaces((Namespace(prefix, extent.delimiter),))
        return self._make(share.id, data, ledger, extent)

    def _ended(self, account_id: str) -> None:
        """An account is of no use any more: superseded, or not shared any longer."""
        if account_id == self.own.id:
            self._on_ended(self)
            return
        account = self._shared.get(account_id)
        if account is not None and not account.is_superseded:
            self._shares.withdraw(account_id)
        self._leave(account_id)
        self._tell()

    def _leave(self, account_id: str) -> None:
        account = self._shared.get(account_id)
        if account is not None:
            leaving = asyncio.create_task(self.let_go(account))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    async def let_go(self, account: Account) -> None:
        """Let go of an account that others share; who asks for it next gets it anew."""
        if self._shared.get(account.id) is not account:
            return
        # Gone from view at once; it is opened again when what is known of it is saved.
        del self._shared[account.id]
        async with self._opening.setdefault(account.id, asyncio.Lock()):
            await account.close()

    async def close(self) -> None:
        """Save and close all accounts, and the connections."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(ImapError, asyncio.CancelledError):
                await self._looking
        await asyncio.gather(*map(self.let_go, [*self._shared.values()]), *self._leaving)
        await self.own.close()
        if self._sieve is not None:
            await self._sieve.close()
        await self._pool.close()
        self._looking = self._sieve = None
        self.followers.clear()


async def _load(ledger: Ledger) -> AccountData | None:
    try:
        return await ledger.load()
    except StoreError as error:
        log.warning("load_failed", reason=error.reason)
        return None


async def _tier(connection: Connection) -> Tier:
    """The best name for messages that the server has (RFC 8474, and what came before it)."""
    if "OBJECTID" in connection.capabilities:
        return Tier.EMAILID
    if "X-GM-EXT-1" in connection.capabilities:
        return Tier.X_GM_MSGID
    if "DIGEST=SHA1" in connection.capabilities:
        return Tier.DIGEST_SHA1
    if has_x_guid(connection):  # LIST shows whether the server knows it
        statuses = [entry.status for entry in await list_mailboxes(connection) if entry.status]
        if statuses and not any(status.mailbox_id for status in statuses):
            connection.quirks.add(NO_X_GUID)
    return Tier.X_GUID if has_x_guid(connection) else Tier.FINGERPRINT
