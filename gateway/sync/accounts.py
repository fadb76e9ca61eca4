"""RFC 8620 §1.6.2: the accounts that are in memory, under one byte budget for the node.

An account comes in with a login, which the IMAP server checks, and goes when nobody has used it
for a while or when others need the memory. What was known of it goes to the store.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from ssl import SSLContext

from gateway.imap.commands.list import list_mailboxes
from gateway.imap.commands.status import has_x_guid
from gateway.imap.connection import Connection, Credentials, Endpoint
from gateway.imap.errors import AuthenticationFailed
from gateway.imap.pool import Pool
from gateway.imap.quirks import NO_X_GUID, Learnt
from gateway.obs.log import get_logger
from gateway.obs.metrics import ACTIVE_ACCOUNTS, INDEX_BYTES
from gateway.store.base import Store, StoreError
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.data import AccountData
from gateway.sync.identity import Tier
from gateway.sync.journal import Journal
from gateway.sync.ledger import Ledger, new_epoch
from gateway.sync.memory import give_back
from gateway.sync.shelf import Shelf
from gateway.sync.uploads import Uploads

IDLE_SECONDS = 600.0
_SWEEP_SECONDS = 15.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach the IMAP server, and how much memory all accounts may take.

    server_events: whether the server reports changes by itself (gateway.http.events).
    upload_quota: octets of uploads that are kept for one user in one account.
    """

    endpoint: Endpoint
    ssl_context: SSLContext | None
    connections: int = 2
    connect_seconds: float = 20.0
    silence_seconds: float = 30.0
    idle_seconds: float = 60.0
    memory_bytes: int = 1 << 30
    server_events: bool = False
    upload_quota: int = 500_000_000


class _Door:
    """Opens connections for one user, with the credentials that worked last.

    What one of them finds out about the server holds for all.
    """

    def __init__(self, settings: Settings, credentials: Credentials, client: str) -> None:
        self._settings = settings
        self.credentials = credentials
        self.client = client
        self._learnt = Learnt()

    async def open(self) -> Connection:
        """A connection that is logged in. Raises ImapError."""
        settings = self._settings
        connection = await Connection.open(
            settings.endpoint,
            settings.ssl_context,
            settings.connect_seconds,
            silence=settings.silence_seconds,
            learnt=self._learnt,
        )
        try:
            await connection.login(self.credentials, self.client)
        except BaseException as error:
            if isinstance(error, AuthenticationFailed):  # why, the client is not told
                log.info("login_refused", code=error.code, text=error.text)
            await connection.close()
            raise
        return connection


class Accounts:
    """Opens, keeps and lets go of accounts; one for each user of the server."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._accounts: dict[str, Account] = {}
        self._doors: dict[str, _Door] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    def get(self, username: str) -> Account | None:
        """The account of a user, if it is in memory."""
        return self._accounts.get(username)

    async def login(self, username: str, password: str, client_address: str) -> Account:
        """The account of a user whom the server lets in with this password.

        Raises AuthenticationFailed, ServerBusy, and any other ImapError when the server can not
        be asked.
        """
        door = _Door(self._settings, Credentials(username, password), client_address)
        connection = await door.open()
        lock = self._opening.setdefault(username, asyncio.Lock())
        async with lock:
            account = self._accounts.get(username)
            if account is None:
                account = await self._open(username, door, connection)
            else:
                known = self._doors[username]
                known.credentials, known.client = door.credentials, client_address
                await self._lend(account, connection)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())
        account.last_used = time.monotonic()
        return account

    async def _open(self, username: str, door: _Door, connection: Connection) -> Account:
        endpoint = self._settings.endpoint
        account_id = ids.account_id(f"{endpoint.host}:{endpoint.port}", username)
        ledger = Ledger(self._store, account_id)
        data = await _load(ledger)
        if data is None:
            data = AccountData(await _tier(connection), Journal(new_epoch()))

        async def connect() -> Connection:
            try:
                return await door.open()
            except AuthenticationFailed:
                self._refused(username, door)
                raise

        pool = Pool(connect, self._settings.connections, self._settings.idle_seconds)
        pool.adopt(connection)
        account = Account(
            account_id,
            username,
            data,
            pool,
            Shelf(self._store, account_id),
            ledger,
            Uploads(self._store.durable, account_id, self._settings.upload_quota),
            server_events=self._settings.server_events,
            on_superseded=lambda: self._leave(account),
        )
        self._accounts[username], self._doors[username] = account, door
        ACTIVE_ACCOUNTS.set(len(self._accounts))
        return account

    def _refused(self, username: str, door: _Door) -> None:
        """The credentials are no longer good: whoever comes next has to log in anew."""
        if self._doors.get(username) is door:
            self._leave(self._accounts[username])

    def _leave(self, account: Account) -> None:
        """Whoever comes next gets the account anew."""
        leaving = asyncio.create_task(self._let_go(account))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _lend(self, account: Account, connection: Connection) -> None:
        """A login's connection is of use to the account, unless it has enough of them."""
        if account.pool.count < self._settings.connections:
            account.pool.adopt(connection)
        else:
            await connection.close()

    async def _sweep(self) -> None:
        """Let go of what was not used for long, and of what was used least when memory is short."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = time.monotonic()
            by_age = sorted(self._accounts.values(), key=lambda a: a.last_used)
            total = sum(account.nbytes for account in by_age)
            INDEX_BYTES.set(total)
            for account in by_age:
                account.rest()
                if account.is_listened_to:
                    continue
                idle = now - account.last_used
                short = total > self._settings.memory_bytes and idle > _SWEEP_SECONDS
                if idle > IDLE_SECONDS or short:
                    total -= account.nbytes
                    await self._let_go(account)
                    await give_back()

    async def _let_go(self, account: Account) -> None:
        # Gone from view at once; a login that comes now waits until what is known is saved.
        if self._accounts.get(account.username) is not account:
            return
        del self._accounts[account.username], self._doors[account.username]
        ACTIVE_ACCOUNTS.set(len(self._accounts))
        async with self._opening.setdefault(account.username, asyncio.Lock()):
            await account.close()

    async def close(self) -> None:
        """Save and close all accounts."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.gather(*(self._let_go(account) for account in list(self._accounts.values())))


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
