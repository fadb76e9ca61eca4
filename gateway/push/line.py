"""RFC 8620 §7.2: what one PushSubscription is told, and when: one push at a time.

What changes while a push is under way, or waits for the push service to recover, is told in the
next one. New mail itself and what has changed take turns, so that neither waits for all of the
other.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway.ext.push_subscription.subscription import PushSubscription
from gateway.jmap import ijson
from gateway.obs.log import get_logger
from gateway.obs.metrics import PUSHES
from gateway.push.changes import TypeState, event_id, state_change
from gateway.push.new_mail import EmailPush, NewMail
from gateway.sync.errors import NotCommitted
from gateway.sync.waiting import first_of
from gateway.webpush.encryption import MAX_OCTETS, Keys
from gateway.webpush.sender import Delivered, Gone, Later, Outcome, Push, Refused, Sender, Urgency
from gateway.webpush.vapid import Vapid

# Changes that follow one another faster than this are told as one.
_SPACING_SECONDS: Final = 1.0
_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 3600.0
# A push service that has refused so many in a row does not want any; that is days.
_MOST_REFUSALS: Final = 50
# RFC 8030 §7.2: one push is larger than that push service takes.
_TOO_LARGE: Final = 413
# New mail that can not be read now is looked for again, later and later.
_FIRST_LOOK: Final = 5.0
_LATEST_LOOK: Final = 600.0
# Of what a client was told in parts, no more characters are remembered.
_LONGEST_TOLD: Final = 4_096
# A device that was away for longer has more to catch up with than a push is of use for.
_TTL_SECONDS: Final = 7 * 24 * 3600.0

log = get_logger(__name__)

States = Mapping[str, TypeState]


@dataclass(frozen=True, slots=True)
class News:
    """What is to be sent. told: what the client has been told then; reported: of it, see report.

    email_push: which EmailPush it is, None: a StateChange.
    """

    octets: bytes
    urgency: Urgency
    told: str
    reported: States = field(default_factory=dict)
    email_push: EmailPush | None = None


class Line:
    """A verified subscription, while `run` runs.

    states: gives the states as of now, None while they are not known. remember: keeps what the
    client was told, and up to which states new mail was pushed; gone: destroys the subscription.
    Both raise NotCommitted.
    """

    def __init__(
        self,
        subscription: PushSubscription,
        sender: Sender,
        vapid: Vapid,
        states: Callable[[], States | None],
        new_mail: NewMail,
        remember: Callable[[str, Mapping[str, str]], Awaitable[None]],
        gone: Callable[[], Awaitable[None]],
    ) -> None:
        self.subscription = subscription
        self._sender = sender
        self._vapid = vapid
        self._states = states
        self._new_mail = new_mail
        self._remember = remember
        self._gone = gone
        self._told = subscription.told
        self._pushed = subscription.pushed
        self._reported: States = {}
        self._news = asyncio.Event()
        self._failures = self._refusals = self._missed = 0
        self._is_mail_first = True

    def tell(self) -> None:
        """The states may be others."""
        self._news.set()

    def report(self, states: States) -> None:
        """States that nothing is known of but that they are others than before."""
        self._reported = _with(self._reported, states)
        self._news.set()

    async def run(self) -> None:
        """Send what is new, until there is no such subscription any more."""
        while True:
            self._news.clear()
            news = await self._next()
            if news is None:
                await self._wait()
                continue
            outcome = await self._sender.send(self._push(news), self._vapid)
            PUSHES.labels(type(outcome).__name__.lower()).inc()
            self._refusals = self._refusals + 1 if isinstance(outcome, Refused) else 0
            if isinstance(outcome, Gone) or self._refusals >= _MOST_REFUSALS:
                await self._end()
                return
            if isinstance(outcome, Delivered):
                await self._delivered(news)
            else:
                await self._not_delivered(news, outcome)
            self._is_mail_first = news.email_push is None
            await asyncio.sleep(self._pause(outcome))

    async def _wait(self) -> None:
        """Return when there may be something to tell."""
        if not self._new_mail.is_behind:
            self._missed = 0
            await self._news.wait()
            return
        pause = min(_LATEST_LOOK, _FIRST_LOOK * 2.0 ** min(self._missed, 20))
        self._missed += 1
        await first_of(self._news, seconds=pause * random.uniform(0.5, 1.0))  # noqa: S311

    async def _next(self) -> News | None:
        """What the client has not been told; None if that is nothing."""
        if self._is_mail_first and (news := await self._mail()) is not None:
            return news
        if (news := self._change()) is not None:
            return news
        return None if self._is_mail_first else await self._mail()

    async def _mail(self) -> News | None:
        """The next EmailPush."""
        states = self._states()
        if states is None:
            return None
        push = await self._new_mail.next(self.subscription, states)
        await self._keep(self._told)
        if push is None:
            return None
        return News(push.octets, push.urgency, self._told, email_push=push)

    def _change(self) -> News | None:
        """The next StateChange."""
        types = self.subscription.wanted
        reported, self._reported = self._reported, {}
        if (change := state_change(reported, types, "")) is not None:
            return replace(_news(change, self._told), reported=reported)
        states = self._states()
        if states is None:
            return None
        return _first_of(states, types, self._told)

    async def _delivered(self, news: News) -> None:
        if news.email_push is not None:
            self._new_mail.taken(news.email_push)
        await self._keep(news.told)

    async def _not_delivered(self, news: News, outcome: Outcome) -> None:
        self._reported = _with(news.reported, self._reported)
        if isinstance(outcome, Refused) and outcome.status == _TOO_LARGE:
            await self._delivered(replace(news, told=self._told))  # nor would it be later

    async def _keep(self, told: str) -> None:
        pushed = self._new_mail.pushed
        if (told, pushed) == (self._told, self._pushed):
            return
        self._told, self._pushed = told, dict(pushed)
        with suppress(NotCommitted):  # what is told twice, the client compares with what it has
            await self._remember(told, pushed)

    async def _end(self) -> None:
        log.info("push_subscription_gone")
        while True:
            try:
                await self._gone()
            except NotCommitted:
                await asyncio.sleep(_FIRST_PAUSE)
            else:
                return

    def _push(self, news: News) -> Push:
        held = self.subscription
        keys = None
        if held.p256dh is not None and held.auth is not None:
            keys = Keys.parse(held.p256dh, held.auth)
        ttl = max(0, int(min(held.expires - time.time(), _TTL_SECONDS)))
        return Push(held.url, keys, news.octets, ttl, news.urgency)

    def _pause(self, outcome: Outcome) -> float:
        """Seconds until the next push, the longer the more have failed."""
        if isinstance(outcome, Delivered):
            self._failures = 0
            return _SPACING_SECONDS
        self._failures = self._failures + 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures - 1, 20))
        pause *= random.uniform(0.5, 1.0)  # noqa: S311
        wanted = outcome.seconds if isinstance(outcome, Later) else None
        log.info("push_failed", reason=getattr(outcome, "reason", ""), failures=self._failures)
        return max(pause, wanted or 0.0)


def _first_of(states: States, types: frozenset[str] | None, told: str) -> News | None:
    """As much of what changed as one push has room for; the rest comes with the next one."""
    change = state_change(states, types, told)
    if change is None:
        return None
    accounts = [*change["changed"]]
    while True:
        some = {account_id: states[account_id] for account_id in accounts}
        change = state_change(some, types, told)
        if change is None:
            return None
        whole = len(accounts) == len(states)
        known = event_id(some, types) if whole else (event_id(some, types) + told)[:_LONGEST_TOLD]
        news = _news(change, known)
        if len(news.octets) <= MAX_OCTETS or len(accounts) == 1:
            return news
        accounts = accounts[: len(accounts) // 2]


def _news(change: dict[str, Any], told: str) -> News:
    is_mail = any("EmailDelivery" in types for types in change["changed"].values())
    return News(ijson.encode(change), "high" if is_mail else "normal", told)


def _with(states: States, later: States) -> States:
    merged = {account_id: dict(types) for account_id, types in states.items()}
    for account_id, types in later.items():
        merged.setdefault(account_id, {}).update(types)
    return merged
