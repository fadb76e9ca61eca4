"""RFC 8620 §7.2: brings the PushSubscriptions of one user what changes in the user's accounts."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from gateway.ext.push_subscription.subscription import PushSubscription
from gateway.ext.push_subscription.subscriptions import Book, Subscriptions, User
from gateway.imap.errors import AuthenticationFailed, ImapError
from gateway.jmap.spec import DataType
from gateway.obs.log import get_logger
from gateway.push.changes import is_told_of
from gateway.push.line import Line, States
from gateway.push.new_mail import NewMail
from gateway.sync.account import Account
from gateway.sync.audience import Following
from gateway.sync.errors import NotCommitted
from gateway.sync.waiting import first_of
from gateway.sync.way_in import WayIn
from gateway.webpush.sender import Sender
from gateway.webpush.vapid import Vapid

_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 600.0
_LOOK_SECONDS: Final = 30.0
# Subscriptions are looked at so often at least, of which one may have expired.
_EXPIRY_SECONDS: Final = 3600.0
# RFC 8620 §7.1: what a report tells of an account that nobody has looked at.
_CHANGED: Final = ("Mailbox", "Email", "Thread")
_DELIVERED: Final = ("EmailDelivery",)

log = get_logger(__name__)


class Accounts(Protocol):
    """Where users' accounts are to be had."""

    async def follow_absent(
        self, username: str, way_in: WayIn | None, was_told: Callable[[str], bool]
    ) -> Following | None:
        """All accounts of a user, None if there is no way in. Raises ImapError, NotCommitted."""
        ...

    async def open_followed(self, username: str, account_id: str) -> Account | None:
        """One of them, brought into memory; None: no such one. Raises ImapError, NotCommitted."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What couriers work with; way_in: None where only the mail server's reports tell anything.

    email: the type.
    """

    book: Book
    accounts: Accounts
    way_in: WayIn | None
    sender: Sender
    vapid: Vapid
    email: DataType


class Courier:
    """One user's, while `run` runs."""

    def __init__(self, user: User, means: Means) -> None:
        self._user = user
        self._means = means
        self._changed = asyncio.Event()
        self._arrived = asyncio.Event()
        self._following: Following | None = None
        self._lines: dict[str, tuple[Line, asyncio.Task[None]]] = {}

    def changed(self) -> None:
        """The user's subscriptions are others than before."""
        self._changed.set()
        self._arrived.set()

    def report(self, *, is_delivery: bool) -> None:
        """The mail server reports that something has changed in the user's own account."""
        self._arrived.set()
        if self._following is not None:
            return  # which tells what it is
        token = f"reported-{secrets.token_hex(8)}"
        types = _CHANGED + (_DELIVERED if is_delivery else ())
        for line, _ in self._lines.values():
            line.report({self._user.account_id: dict.fromkeys(types, token)})

    async def run(self) -> None:
        """Return when the user has no subscription any more."""
        following: asyncio.Task[None] | None = None
        try:
            while True:
                self._changed.clear()
                try:
                    held = await self._means.book.of(self._user.account_id)
                    if not held:
                        await self._leave()
                        return
                except NotCommitted:
                    await asyncio.sleep(_FIRST_PAUSE)
                    continue
                self._take(held)
                if following is None:
                    following = asyncio.create_task(self._follow())
                soonest = min(each.expires for each in held.values()) - time.time()
                await first_of(self._changed, seconds=max(0.1, min(soonest, _EXPIRY_SECONDS)))
        finally:
            tasks = [task for _, task in self._lines.values()]
            if following is not None:
                tasks.append(following)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _leave(self) -> None:
        if self._means.way_in is not None:
            await self._means.way_in.forget(self._user.account_id)
        await self._means.book.unlist(self._user)

    # --- the lines -------------------------------------------------------------------------------

    def _take(self, held: Subscriptions) -> None:
        """A line for each that is verified."""
        wanted = {id_: each for id_, each in held.items() if each.is_verified}
        for id_ in self._lines.keys() - wanted.keys():
            self._lines.pop(id_)[1].cancel()
        for id_, each in wanted.items():
            if id_ in self._lines:
                self._lines[id_][0].subscription = each
                self._lines[id_][0].tell()
            else:
                line = self._line(id_, each)
                self._lines[id_] = line, asyncio.create_task(line.run())

    def _line(self, id_: str, subscription: PushSubscription) -> Line:
        means, user = self._means, self._user

        async def gone() -> None:
            await means.book.change(user, lambda held: {id_: None} if id_ in held else {})
            self.changed()

        open_ = partial(means.accounts.open_followed, user.username)
        return Line(
            subscription,
            means.sender,
            means.vapid,
            self._states,
            NewMail(subscription.pushed, open_, means.email),
            remember=partial(means.book.told, user, id_),
            gone=gone,
        )

    def _states(self) -> States | None:
        return self._following.states() if self._following is not None else None

    def _tell(self) -> None:
        for line, _ in self._lines.values():
            line.tell()

    # --- what happens ----------------------------------------------------------------------------

    async def _follow(self) -> None:
        failures, is_blind = 0, False
        while True:
            self._arrived.clear()
            try:
                if await self._followed():
                    failures, is_blind = 0, False
                    continue
                # What the mail server reports is all that can be told, until the user is back; of
                # what it has reported while nobody heard it, nothing is known.
                if not is_blind:
                    self.report(is_delivery=False)
                is_blind = True
                await self._arrived.wait()
                continue
            except AuthenticationFailed:
                await self._refused()
            except (ImapError, NotCommitted) as error:
                log.info("absent_user_unknown", reason=type(error).__name__)
            failures += 1
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 1, 20))
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311

    async def _followed(self) -> bool:
        """Follow the user's accounts until that ends; False if there is no way in."""
        means = self._means
        following = await means.accounts.follow_absent(
            self._user.username, means.way_in, self._was_told
        )
        if following is None:
            return False
        async with following:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await following.fresh()
            try:
                self._following = following
                self._tell()
                while await following.wait():
                    self._tell()
            finally:
                self._following = None
        return True

    def _was_told(self, account_id: str) -> bool:
        subscriptions = [line.subscription for line, _ in self._lines.values()]
        return any(
            account_id in (each.email_push or {}) or is_told_of(account_id, each.told)
            for each in subscriptions
        )

    async def _refused(self) -> None:
        """RFC 8620 §7.2: the credentials are revoked, and with them what they have made."""
        if self._means.way_in is None or not self._means.way_in.is_of_user:
            return
        log.info("push_subscriptions_revoked")
        with suppress(NotCommitted):
            await self._means.book.change(self._user, _nothing_of)
            self.changed()


def _nothing_of(held: Subscriptions) -> Mapping[str, PushSubscription | None]:
    return dict.fromkeys(held)
