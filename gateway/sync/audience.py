"""RFC 8620 §7.1: who listens to a user's accounts, also while these are not in memory.

Where the mail server reports changes, an account of which nobody asks anything need not be in
memory to be listened to: its audience knows the states it had, and a report wakes it.

What another user shares is followed from the beginning. A Shared Namespace is open to many, large,
and read by few: to follow it takes an index of all its mail, which each of them would have. So it
is followed once the user has asked for it: it is in memory, or a client was told of it before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from math import inf
from typing import NamedTuple, Self

from gateway.imap.errors import ImapError
from gateway.obs.log import get_logger
from gateway.sync.account import Account
from gateway.sync.door import Door
from gateway.sync.extent import Extent, Kind
from gateway.sync.listeners import Listener
from gateway.sync.login import SHARES_SECONDS, Login
from gateway.sync.waiting import first_of

log = get_logger(__name__)

States = Mapping[str, Mapping[str, str]]
"""The states of all types that are pushed, by account id."""


class _Followed(NamedTuple):
    account: Account
    listener: Listener


class Audience:
    """The clients of one user that listen, over the user's login while that is in memory.

    door: how the user comes in. is_over: the login has ended, and is not to be woken. Moments of
    time.monotonic(): looked_at, or put to sleep; slept_at; left_at, by the last client; stirred_at,
    when something was told, or it woke, after which it is to stay awake for rest_seconds.
    """

    def __init__(self, login: Login) -> None:
        self.username = login.username
        self.account_id = login.own.id
        self.door: Door = login.door
        self.is_over = False
        self.extents: frozenset[Extent] = frozenset()
        self.looked_at = self.left_at = self.stirred_at = time.monotonic()
        self.slept_at = -inf
        self.rest_seconds = 0.0
        self._members: set[Following] = set()
        self._login: Login | None = None
        self._known: dict[str, Mapping[str, str]] = {}
        self._followed: dict[str, _Followed] = {}
        self._shares_news = asyncio.Event()
        self._taken_up = asyncio.Event()
        self._keeping_up: asyncio.Task[None] | None = None

    @property
    def is_asleep(self) -> bool:
        """Whether the accounts are not in memory."""
        return self._login is None

    def __len__(self) -> int:
        return len(self._members)

    # --- who listens -----------------------------------------------------------------------------

    def join(self, member: Following) -> None:
        """One more."""
        self._members.add(member)
        self._shares_news.set()  # of which it may want other ones
        self._begin()

    def leave(self, member: Following) -> None:
        """One less."""
        self._members.discard(member)
        if not self._members:
            self.left_at = time.monotonic()
            self._stop()

    def _tell(self) -> None:
        self.stirred_at = time.monotonic()
        for member in self._members:
            member.tell()

    # --- what there is ---------------------------------------------------------------------------

    def states(self) -> States:
        """The states as of now, or as they were before the accounts went out of memory."""
        states = dict(self._known) if self.is_asleep else {}
        for account_id, each in self._followed.items():
            if not each.listener.is_over:
                # Some states are not known before somebody has asked.
                known = self._known.get(account_id, {})
                states[account_id] = {**known, **each.account.states()}
        return states

    async def fresh(self) -> None:
        """Return when the states are those of a moment ago at most.

        Accounts that can not be looked at now are looked at later.
        """
        if self.is_asleep:
            return  # any change is reported
        await self._taken_up.wait()
        looks = [each.account.brought_up_to_date() for each in self._followed.values()]
        await asyncio.gather(*looks, return_exceptions=True)

    # --- asleep and awake ------------------------------------------------------------------------

    def wake(self, login: Login) -> None:
        """The accounts are in memory."""
        self._login = login
        self.door = login.door
        self.stirred_at = time.monotonic()
        self._begin()

    def sleep(self) -> None:
        """The accounts go out of memory."""
        self._known = dict(self.states())
        self._stop()
        self._login = None
        self.slept_at = self.looked_at = time.monotonic()

    def end(self) -> None:
        """The login is over."""
        self.is_over = True
        self._tell()

    def _begin(self) -> None:
        """Follow the accounts, if they are in memory, and somebody listens."""
        login = self._login
        if login is None or not self._members or self._keeping_up is not None:
            return
        self._taken_up.clear()
        self._follow(login.own)
        login.followers.add(self._shares_news.set)
        self._keeping_up = asyncio.create_task(self._keep_up(login))

    def _stop(self) -> None:
        if self._login is not None:
            self._login.followers.discard(self._shares_news.set)
        if self._keeping_up is not None:
            self._keeping_up.cancel()
            self._keeping_up = None
        accounts = [each.account for each in self._followed.values()]
        self.extents = frozenset(account.extent for account in accounts)
        for each in self._followed.values():
            each.listener.close()
        self._followed.clear()
        self._taken_up.set()  # nobody is to wait for what does not go on

    # --- the accounts ----------------------------------------------------------------------------

    def _heard(self) -> None:
        own = self._followed.get(self.account_id)
        if own is not None and own.listener.is_over:
            self.is_over = True
        self._tell()

    async def _keep_up(self, login: Login) -> None:
        """Follow what comes to be shared, and leave what is not any more."""
        while True:
            self._shares_news.clear()
            try:
                await login.look()
                await self._take_up(login)
            except ImapError as error:
                log.info("shares_unknown", reason=type(error).__name__)
            self._taken_up.set()
            await first_of(self._shares_news, seconds=SHARES_SECONDS)

    async def _take_up(self, login: Login) -> None:
        for account_id, each in [*self._followed.items()]:
            if each.listener.is_over and account_id != self.account_id:
                del self._followed[account_id]
                self._known.pop(account_id, None)
        for share in login.shares.values():
            if share.id in self._followed:
                continue
            is_wanted = share.extent.kind is Kind.USER or self._was_told(share.id)
            if is_wanted or share.id in login.accounts:
                account = await login.open(share.id)
                if account is not None:
                    self._follow(account)
                    self._tell()

    def _was_told(self, account_id: str) -> bool:
        return account_id in self._known or any(m.was_told(account_id) for m in self._members)

    def _follow(self, account: Account) -> None:
        self._followed[account.id] = _Followed(account, account.watch(self._heard))


class Following:
    """One client that is told of the accounts of a user, inside `async with`.

    was_told: whether the client was told of an account, by its id, before it came.
    """

    __slots__ = ("_audience", "_news", "was_told")

    def __init__(self, audience: Audience, was_told: Callable[[str], bool]) -> None:
        self.was_told = was_told
        self._audience = audience
        self._news = asyncio.Event()

    @property
    def account_id(self) -> str:
        """The user's own account."""
        return self._audience.account_id

    async def __aenter__(self) -> Self:
        self._audience.join(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._audience.leave(self)

    def tell(self) -> None:
        """States may have changed."""
        self._news.set()

    async def wait(self) -> bool:
        """Return when states may have changed since the last wait; False: the login has ended."""
        if not self._audience.is_over:
            await self._news.wait()
            self._news.clear()
        return not self._audience.is_over

    def states(self) -> States:
        """The states of all types that are pushed, by account id, as of now."""
        return self._audience.states()

    async def fresh(self) -> None:
        """Return when the states are those of a moment ago at most."""
        await self._audience.fresh()
