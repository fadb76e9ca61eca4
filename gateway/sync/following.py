"""RFC 8620 §7.1: all accounts of a user, as one that can be listened to.

What another user shares is followed from the beginning. A Shared Namespace is open to many, large,
and read by few: to follow it takes an index of all its mail, which each of them would have. So it
is followed once the user has asked for it: it is in memory, or the client was told of it before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

from gateway.imap.errors import ImapError
from gateway.obs.log import get_logger
from gateway.sync.account import Account
from gateway.sync.extent import Kind
from gateway.sync.listeners import Listener
from gateway.sync.login import SHARES_SECONDS, Login
from gateway.sync.waiting import first_of

log = get_logger(__name__)


class _Followed(NamedTuple):
    account: Account
    listener: Listener


class Following:
    """The accounts of a login that one client is told of, inside `async with`."""

    def __init__(self, login: Login, was_told: Callable[[str], bool]) -> None:
        """was_told: whether the client was told of an account, by its id, before it came."""
        self._login = login
        self._was_told = was_told
        self._news = asyncio.Event()
        self._shares_news = asyncio.Event()
        self._taken_up = asyncio.Event()
        self._followed: dict[str, _Followed] = {}
        self._keeping_up: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._follow(self._login.own)
        self._login.followers.add(self._shares_news.set)
        self._keeping_up = asyncio.create_task(self._keep_up())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._login.followers.discard(self._shares_news.set)
        if self._keeping_up is not None:
            self._keeping_up.cancel()
            await asyncio.gather(self._keeping_up, return_exceptions=True)
        for each in self._followed.values():
            each.listener.close()

    async def wait(self) -> bool:
        """Return when states may have changed since the last wait; False: the login has ended."""
        await self._news.wait()
        self._news.clear()
        return not self._followed[self._login.own.id].listener.is_over

    def states(self) -> Mapping[str, Mapping[str, str]]:
        """The states of all types that are pushed, by account id, as of now."""
        return {
            account_id: each.account.states()
            for account_id, each in self._followed.items()
            if not each.listener.is_over
        }

    async def fresh(self) -> None:
        """Return when the states are those of a moment ago at most.

        Accounts that can not be looked at now are looked at later.
        """
        await self._taken_up.wait()
        looks = [each.account.fresh() for each in self._followed.values()]
        await asyncio.gather(*looks, return_exceptions=True)

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
        for account_id, each in [*self._followed.items()]:
            if each.listener.is_over and account_id != self._login.own.id:
                del self._followed[account_id]
        for share in self._login.shares.values():
            if share.id in self._followed:
                continue
            is_wanted = share.extent.kind is Kind.USER or self._was_told(share.id)
            if is_wanted or share.id in self._login.accounts:
                account = await self._login.open(share.id)
                if account is not None:
                    self._follow(account)
                    self._news.set()

    def _follow(self, account: Account) -> None:
        self._followed[account.id] = _Followed(account, account.watch(self._news))
