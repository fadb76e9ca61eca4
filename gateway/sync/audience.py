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
from gateway.sync.extent import OWN, Extent, Kind
from gateway.sync.listeners import Listener
from gateway.sync.login import SHARES_SECONDS, Login
from gateway.sync.waiting import first_of

log = get_logger(__name__)

States = Mapping[str, Mapping[str, str]]
"""The states of all types that are pushed, by account id."""

_ONLY_OWN = frozenset({OWN})


class _Followed(NamedTuple):
    account: Account
    listener: Listener


class Audience:
    """The clients of one user that listen, over the user's login while that is in memory.

    door: how the user comes in. is_over: the login has ended, and is not to be woken. Moments of
    time.monotonic(): looked_at, or put to sleep; slept_at; left_at, by the last client; stirred_at,
    when something was told, or it woke, after which it is to stay awake for rest_seconds.
    """

    # Of these there are as many as users, and most of them sleep.
    __slots__ = (
        "_followers",
        "_known",
        "_login",
        "_members",
        "account_id",
        "door",
        "extents",
        "is_over",
        "left_at",
        "looked_at",
        "rest_seconds",
        "slept_at",
        "stirred_at",
        "username",
    )

    def __init__(self, login: Login) -> None:
        self.username = login.username
        self.account_id = login.own.id
        self.door: Door = login.door
        self.is_over = False
        self.extents = _ONLY_OWN
        self.looked_at = self.left_at = self.stirred_at = time.monotonic()
        self.slept_at = -inf
        self.rest_seconds = 0.0
        self._members: list[Following] = []
        self._login: Login | None = None
        self._known: dict[str, Mapping[str, str]] = {}
        self._followers: _Followers | None = None

    @property
    def is_asleep(self) -> bool:
        """Whether the accounts are not in memory."""
        return self._login is None

    def __len__(self) -> int:
        return len(self._members)

    # --- who listens -----------------------------------------------------------------------------

    def join(self, member: Following) -> None:
        """One more."""
        self._members.append(member)
        if self._followers is not None:
            self._followers.look_again()  # there may be more that it wants
        self._begin()

    def leave(self, member: Following) -> None:
        """One less."""
        self._members.remove(member)
        if not self._members:
            self.left_at = time.monotonic()
            self._stop()

    def tell(self) -> None:
        """States may have changed, or the login is over."""
        self.stirred_at = time.monotonic()
        for member in self._members:
            member.tell()

    def announce(self, kind: str, state: str) -> None:
        """The user's own account, which sleeps, has a new state of what is in no mailbox."""
        self._known[self.account_id] = {**self._known.get(self.account_id, {}), kind: state}
        self.tell()

    # --- what there is ---------------------------------------------------------------------------

    def states(self) -> States:
        """The states as of now, or as they were before the accounts went out of memory."""
        if self._followers is None:
            return self._known if self.is_asleep else {}
        # Some states are not known before somebody has asked.
        states = self._followers.states()
        return {id: {**self._known.get(id, {}), **states[id]} for id in states}

    async def fresh(self) -> None:
        """Return when the states are those of a moment ago at most.

        Accounts that can not be looked at now are looked at later; while they sleep, any change is
        reported.
        """
        if self._followers is not None:
            await self._followers.fresh()

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
        self.tell()

    def _begin(self) -> None:
        """Follow the accounts, if they are in memory, and somebody listens."""
        if self._login is not None and self._members and self._followers is None:
            self._followers = _Followers(self, self._login)

    def _stop(self) -> None:
        if self._followers is not None:
            self.extents = self._followers.extents()
            self._followers.close()
            self._followers = None

    def was_told(self, account_id: str) -> bool:
        """Whether somebody was told of an account."""
        return account_id in self._known or any(m.was_told(account_id) for m in self._members)

    def forget(self, account_id: str) -> None:
        """An account is not shared any more."""
        self._known.pop(account_id, None)


class _Followers:
    """The accounts of a login that an audience follows while they are in memory."""

    def __init__(self, audience: Audience, login: Login) -> None:
        self._audience = audience
        self._login = login
        self._followed: dict[str, _Followed] = {}
        self._shares_news = asyncio.Event()
        self._taken_up = asyncio.Event()
        self._follow(login.own)
        login.followers.add(self.look_again)
        self._keeping_up: asyncio.Task[None] | None = asyncio.create_task(self._keep_up())

    def look_again(self) -> None:
        """Others may be shared, or wanted."""
        self._shares_news.set()

    def states(self) -> dict[str, dict[str, str]]:
        """The states as of now, by account id."""
        followed = self._followed.items()
        return {id: each.account.states() for id, each in followed if not each.listener.is_over}

    def extents(self) -> frozenset[Extent]:
        """What of the server's mailboxes is followed."""
        found = frozenset(each.account.extent for each in self._followed.values())
        return _ONLY_OWN if found == _ONLY_OWN else found

    async def fresh(self) -> None:
        """Return when all is as of a moment ago, as far as it can be looked at now."""
        await self._taken_up.wait()
        looks = [each.account.brought_up_to_date() for each in self._followed.values()]
        await asyncio.gather(*looks, return_exceptions=True)

    def close(self) -> None:
        """Follow nothing any more."""
        self._login.followers.discard(self.look_again)
        if self._keeping_up is not None:
            self._keeping_up.cancel()
            self._keeping_up = None
        for each in self._followed.values():
            each.listener.close()
        self._followed.clear()
        self._taken_up.set()  # nobody is to wait for what does not go on

    def _follow(self, account: Account) -> None:
        self._followed[account.id] = _Followed(account, account.watch(self._heard))

    def _heard(self) -> None:
        own = self._followed.get(self._login.own.id)
        if own is not None and own.listener.is_over:
            self._audience.is_over = True
        self._audience.tell()

    async def _keep_up(self) -> None:
        """Follow what comes to be shared, and leave what is not any more."""
        while True:
            self._shares_news.clear()
            try:
                await self._login.look()
                await self._take_up()
            except ImapError as error:
                log.info("shares_unknown", reason=type(error).__name__)
            self._taken_up.set()
            await first_of(self._shares_news, seconds=SHARES_SECONDS)

    async def _take_up(self) -> None:
        login = self._login
        for account_id, each in [*self._followed.items()]:
            if each.listener.is_over and account_id != login.own.id:
                del self._followed[account_id]
                self._audience.forget(account_id)
        for share in login.shares.values():
            if share.id in self._followed:
                continue
            is_wanted = share.extent.kind is Kind.USER or self._audience.was_told(share.id)
            if is_wanted or share.id in login.accounts:
                account = await login.open(share.id)
                if account is not None:
                    self._follow(account)
                    self._audience.tell()


class Following:
    """One client that is told of the accounts of a user, inside `async with`.

    was_told: whether the client was told of an account, by its id, before it came.
    """

    __slots__ = ("_audience", "_has_news", "_waiting", "was_told")

    def __init__(self, audience: Audience, was_told: Callable[[str], bool]) -> None:
        self.was_told = was_told
        self._audience = audience
        self._has_news = False
        self._waiting: asyncio.Future[None] | None = None

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
        self._has_news = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def wait(self) -> bool:
        """Return when states may have changed since the last wait; False: the login has ended."""
        if not self._audience.is_over and not self._has_news:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        self._has_news = False
        return not self._audience.is_over

    def states(self) -> States:
        """The states of all types that are pushed, by account id, as of now."""
        return self._audience.states()

    async def fresh(self) -> None:
        """Return when the states are those of a moment ago at most."""
        await self._audience.fresh()
