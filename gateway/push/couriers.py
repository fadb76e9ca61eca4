"""RFC 8620 §7.2: the couriers of all users who have PushSubscriptions, shared among the nodes.

The list of users is in parts, and a node attends to those that it holds: it says so in the store,
again and again, and where a node has fallen silent another one goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from gateway.ext.push_subscription.subscriptions import PARTS, Book, Listed, User, part_of
from gateway.jmap import ijson
from gateway.jmap.spec import DataType
from gateway.obs.log import get_logger
from gateway.push.courier import Accounts, Courier, Means
from gateway.push.parts import Parts
from gateway.push.server_key import ServerKey
from gateway.store.base import Durable
from gateway.sync.errors import NotCommitted
from gateway.sync.way_in import WayIn
from gateway.webpush.encryption import Keys
from gateway.webpush.sender import Push, Sender

_LOOK_SECONDS: Final = 15.0
# Threat R5: so many verifications of one user in so much time.
_VERIFICATIONS: Final = 16
_VERIFICATIONS_SECONDS: Final = 16 * 60.0
_VERIFICATION_TTL: Final = 3_600
_USERS_REMEMBERED: Final = 10_000

log = get_logger(__name__)


class Couriers:
    """While `run` runs."""

    def __init__(
        self,
        durable: Durable,
        accounts: Accounts,
        way_in: WayIn | None,
        sender: Sender,
        key: ServerKey,
        email: DataType,
    ) -> None:
        self._book = Book(durable)
        self._accounts = accounts
        self._way_in = way_in
        self._sender = sender
        self._key = key
        self._email = email
        self._parts = Parts(durable)
        self._couriers: dict[User, Courier] = {}
        self._numbers: dict[User, int] = {}
        self._by_name: dict[str, set[User]] = {}  # in lower case, as mail servers tell names
        self._tasks: dict[User, asyncio.Task[None]] = {}
        self._verifying: set[asyncio.Task[None]] = set()
        self._verified: dict[User, deque[float]] = {}
        self._news = asyncio.Event()

    # --- what the methods need ---------------------------------------------------------------

    def may_verify(self, user: User) -> bool:
        """Whether a verification may be sent for the user now; it counts."""
        now = time.monotonic()
        sent = self._verified.setdefault(user, deque())
        while sent and sent[0] < now - _VERIFICATIONS_SECONDS:
            sent.popleft()
        if len(self._verified) > _USERS_REMEMBERED:
            del self._verified[next(iter(self._verified))]
        if len(sent) >= _VERIFICATIONS:
            return False
        sent.append(now)
        return True

    def changed(self, user: User) -> None:
        """A user's subscriptions are others than before: what is new is verified at once."""
        verifying = asyncio.create_task(self._verify(user))
        self._verifying.add(verifying)
        verifying.add_done_callback(self._verifying.discard)
        if user in self._couriers:
            self._couriers[user].changed()
        self._news.set()

    def reported(self, username: str, *, is_delivery: bool) -> None:
        """The mail server reports a change in a user's own account."""
        for user in self._by_name.get(username.lower(), ()):
            self._couriers[user].report(is_delivery=is_delivery)

    # --- at work -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Send, until cancelled."""
        try:
            while True:
                self._news.clear()
                if await self._key.load():
                    await self._look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._news.wait()
        finally:
            tasks = [*self._tasks.values(), *self._verifying]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._parts.leave()

    async def _look(self) -> None:
        for part in range(PARTS):
            try:
                users = await self._book.users(part)
                is_held = bool(users) and await self._parts.hold(part)
            except NotCommitted:
                return
            self._attend(part, users if is_held else ())

    def _attend(self, part: int, users: Iterable[Listed]) -> None:
        """Have a courier for each user of the part, and for nobody else."""
        numbers = {listed.user: listed.number for listed in users}
        for user in [each for each in self._couriers if part_of(each.account_id) == part]:
            if user not in numbers:
                self._tasks[user].cancel()
        for user, number in numbers.items():
            if user not in self._couriers:
                self._begin(user)
            elif self._numbers[user] != number:
                self._couriers[user].changed()
            self._numbers[user] = number

    def _begin(self, user: User) -> None:
        vapid = self._key.vapid
        if vapid is None:
            return
        means = Means(self._book, self._accounts, self._way_in, self._sender, vapid, self._email)
        courier = self._couriers[user] = Courier(user, means)
        self._by_name.setdefault(user.username.lower(), set()).add(user)
        task = self._tasks[user] = asyncio.create_task(courier.run())
        task.add_done_callback(lambda done: self._ended(user, courier, done))

    def _ended(self, user: User, courier: Courier, task: asyncio.Task[None]) -> None:
        if self._couriers.get(user) is courier:
            del self._couriers[user], self._tasks[user], self._numbers[user]
            self._by_name[user.username.lower()].discard(user)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("courier_failed", exc_info=error)

    async def _verify(self, user: User) -> None:
        """RFC 8620 §7.2.2: one request, which is not made again whatever becomes of it."""
        try:
            asked = await self._book.ask(user)
        except NotCommitted:
            return
        for id_, each in asked.items():
            vapid = self._key.vapid
            if vapid is None:
                return
            told = {
                "@type": "PushVerification",
                "pushSubscriptionId": id_,
                "verificationCode": each.code,
            }
            keys = None
            if each.p256dh is not None and each.auth is not None:
                keys = Keys.parse(each.p256dh, each.auth)
            push = Push(each.url, keys, ijson.encode(told), _VERIFICATION_TTL, "high")
            outcome = await self._sender.send(push, vapid)
            log.info("push_verification", outcome=type(outcome).__name__)
