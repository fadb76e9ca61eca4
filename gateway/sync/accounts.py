"""RFC 8620 §1.6.2: the accounts that are in memory, under one byte budget for the node.

An account comes in with a login, which the IMAP server checks, and goes when nobody has used it
for a while or when others need the memory. What was known of it goes to the store.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from gateway.imap.errors import AuthenticationFailed
from gateway.obs.metrics import ACTIVE_ACCOUNTS, INDEX_BYTES
from gateway.sasl import AnyCredentials
from gateway.store.base import Store
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.audience import Following
from gateway.sync.audiences import Audiences
from gateway.sync.door import Door, Settings
from gateway.sync.errors import NotCommitted
from gateway.sync.login import Login
from gateway.sync.memory import give_back
from gateway.sync.pace import Pace
from gateway.sync.reported import concerned
from gateway.sync.shares import Share
from gateway.sync.sieve_access import SieveServer
from gateway.sync.way_in import WayIn

__all__ = ["Accounts", "Settings"]

IDLE_SECONDS = 600.0
_SWEEP_SECONDS = 15.0
# RFC 6890: the address of a client that is not there.
_NOWHERE = "0.0.0.0"  # noqa: S104


class Accounts:
    """Opens, keeps and lets go of accounts: the own ones of users, and what is shared with them."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._sieve = SieveServer(settings.sieve) if settings.sieve is not None else None
        self._logins: dict[str, Login] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._pace = Pace(settings.logins_per_second)
        # What is told by the mail server comes at its pace.
        look = partial(self._log_in, in_turn=False)
        self._audiences = Audiences(look, self._leave, may_sleep=settings.server_events)
        self._sweeper: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    def get(self, username: str) -> Account | None:
        """A user's own account, if it is in memory."""
        login = self._logins.get(username)
        return login.own if login is not None else None

    def announce(self, account_id: str, kind: str, state: str) -> None:
        """Tell who listens to a user's own account of a new state of what is in no mailbox."""
        for login in self._logins.values():
            if login.own.id == account_id:
                login.own.announce(kind, state)
        self._audiences.announce(account_id, kind, state)

    def credentials(self, username: str) -> AnyCredentials | None:
        """What a user has signed in with last, if the account is in memory."""
        login = self._logins.get(username)
        if login is None or not login.door.credentials.is_of_user:
            return None
        return login.door.credentials

    async def login(self, credentials: AnyCredentials, client_address: str) -> Account:
        """The own account of a user whom the server lets in with these credentials.

        Raises AuthenticationFailed, ServerBusy, and any other ImapError when the server can not
        be asked.
        """
        return (await self._log_in(credentials, client_address)).own

    async def _log_in(
        self, credentials: AnyCredentials, client_address: str, *, in_turn: bool = True
    ) -> Login:
        username = credentials.username
        door = Door(self._settings, credentials, client_address, self._pace)
        connection = await door.open(in_turn=in_turn)
        lock = self._opening.setdefault(username, asyncio.Lock())
        async with lock:
            login = self._logins.get(username)
            if login is None:
                login = await Login.begin(
                    self._settings,
                    self._store,
                    username,
                    door,
                    connection,
                    self._leave,
                    self._sieve,
                )
                self._logins[username] = login
                self._audiences.awoken(login)
                ACTIVE_ACCOUNTS.set(len(self._logins))
            else:
                if credentials.is_of_user:
                    login.door.credentials, login.door.client = credentials, client_address
                await login.lend(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())
        return login

    # --- what is shared with a user --------------------------------------------------------------

    async def shared(self, account: Account, seconds: float | None = None) -> Mapping[str, Share]:
        """What others share with the user whose own account this is, by account id.

        It is that of so many seconds ago at most; by default what is known, if anything is. Raises
        ImapError when nothing is, and the server can not be asked.
        """
        login = self._login_of(account)
        if login is None:
            return {}
        if seconds is None and login.knows_shares:
            login.look_later()
        else:
            await login.look(seconds or 0.0)
        return login.shares

    async def open(self, account: Account, account_id: str) -> Account | None:
        """The account of that id: the user's own, or one that is shared(); None if neither."""
        login = self._login_of(account)
        return await login.open(account_id) if login is not None else None

    def follow(self, account: Account, was_told: Callable[[str], bool]) -> Following:
        """All accounts of the user as one that can be listened to; see Following.

        Raises NotCommitted when the account is being replaced.
        """
        login = self._login_of(account)
        if login is None:
            raise NotCommitted("another node goes on with the account")
        return Following(self._audiences.of(login), was_told)

    def follow_known(self, username: str, was_told: Callable[[str], bool]) -> Following | None:
        """The same for a user who has listened a moment ago; None if nobody has."""
        audience = self._audiences.get(username)
        return Following(audience, was_told) if audience is not None else None

    async def follow_absent(
        self, username: str, way_in: WayIn | None, was_told: Callable[[str], bool]
    ) -> Following | None:
        """The same for a user who need not be here; None if there is no way in.

        Raises ImapError, NotCommitted.
        """
        known = self.follow_known(username, was_told)
        if known is not None:
            return known
        login = self._logins.get(username)
        if login is None:
            account_id = ids.account_id(self._settings.backend, username)
            credentials = await way_in.find(account_id, username) if way_in is not None else None
            if way_in is None or credentials is None:
                return None
            try:
                login = await self._log_in(credentials, _NOWHERE)
            except AuthenticationFailed:
                await way_in.forget(account_id)
                raise
        return Following(self._audiences.of(login), was_told)

    async def open_followed(self, username: str, account_id: str) -> Account | None:
        """An account of a user who is followed, brought into memory if need be; None: no such one.

        Raises ImapError, NotCommitted.
        """
        login = self._logins.get(username)
        if login is None:
            audience = self._audiences.get(username)
            if audience is None:
                raise NotCommitted("the login has ended")
            login = await self._log_in(audience.door.credentials, audience.door.client)
        if account_id != login.own.id:
            await login.look()
        return await login.open(account_id)

    def reported(self, username: str, mailboxes: Iterable[str]) -> list[Account]:
        """The accounts in memory in which a user's session has changed something.

        mailboxes: as that user names them, those that others may see, too. Those that somebody
        listens to and that are not in memory come into it.
        """
        mailboxes = [*mailboxes]
        self._audiences.reported(username, mailboxes)
        return concerned(self._logins, username, mailboxes)

    def _login_of(self, account: Account) -> Login | None:
        login = self._logins.get(account.username)
        return login if login is not None and login.own is account else None

    # --- letting go ------------------------------------------------------------------------------

    def _leave(self, login: Login) -> None:
        """Whoever comes next gets the account anew."""
        leaving = asyncio.create_task(self._let_go(login))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _sweep(self) -> None:
        """Let go of what was not used for long, and of what was used least when memory is short."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = time.monotonic()
            every = [(login, a) for login in self._logins.values() for a in login.accounts.values()]
            total = sum(account.nbytes for _, account in every)
            INDEX_BYTES.set(total)
            for login, account in sorted(every, key=lambda each: _last_used(*each)):
                account.rest()
                if _is_listened_to(login, account):
                    continue
                idle = now - _last_used(login, account)
                short = total > self._settings.memory_bytes and idle > _SWEEP_SECONDS
                if idle > IDLE_SECONDS or short:
                    total -= account.nbytes
                    if account is login.own:
                        await self._let_go(login)
                    else:
                        await login.let_go(account)
                    await give_back()

    async def _let_go(self, login: Login) -> None:
        # Gone from view at once; a login that comes now waits until what is known is saved.
        username = login.username
        if self._logins.get(username) is not login:
            return
        del self._logins[username]
        ACTIVE_ACCOUNTS.set(len(self._logins))
        self._audiences.left(login)
        async with self._opening.setdefault(username, asyncio.Lock()):
            await login.close()

    async def close(self) -> None:
        """Save and close all accounts."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self._audiences.close()
        if self._sieve is not None:
            await self._sieve.close()
        await asyncio.gather(*map(self._let_go, [*self._logins.values()]), *self._leaving)


def _last_used(login: Login, account: Account) -> float:
    """When an account was used last; without the user's own, there is none of the others."""
    if account is login.own:
        return max(each.last_used for each in login.accounts.values())
    return account.last_used


def _is_listened_to(login: Login, account: Account) -> bool:
    if account is login.own:
        return any(each.is_listened_to for each in login.accounts.values())
    return account.is_listened_to
