"""RFC 8620 §7: all who listen, the accounts that sleep meanwhile, and what wakes them.

An account of which nobody asks anything is in memory only to find out what changed: after a report
of the mail server, or now and then as reports may get lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from gateway.imap.errors import AuthenticationFailed, ImapError
from gateway.obs.log import get_logger
from gateway.sasl import AnyCredentials
from gateway.sync.audience import Audience
from gateway.sync.login import Login
from gateway.sync.sleepers import Sleepers

QUIET_SECONDS = 120.0
"""Whoever has asked for something is likely to ask for more within so long."""
REST_SECONDS = 2.0
"""So long after a change, or after it came into memory, an account may go out of it again."""
LIVELY_SECONDS = 30.0
"""What is woken so soon again stays in memory twice as long as before, up to QUIET_SECONDS."""
LINGER_SECONDS = 300.0
"""What is known of a sleeper is kept for so long after the last client has gone."""
LOOK_SECONDS = 3600.0
"""Between two looks at an account that is not in memory: reports may get lost."""
WAKING = 16
"""Accounts that are looked at for a report at once: what comes faster waits for the mail server."""
_TICK_SECONDS = 1.0
_SWEEP_SECONDS = 15.0

log = get_logger(__name__)

LogIn = Callable[[AnyCredentials, str], Awaitable[Login]]


class Audiences:
    """The audience of each user to whose accounts somebody listens, or has a moment ago.

    may_sleep: whether the mail server reports changes by itself. log_in: brings a user's accounts
    into memory. leave: lets go of them.
    """

    def __init__(self, log_in: LogIn, leave: Callable[[Login], None], *, may_sleep: bool) -> None:
        self._log_in = log_in
        self._leave = leave
        self._may_sleep = may_sleep
        self._all: dict[str, Audience] = {}
        self._awake: dict[Audience, Login] = {}
        self._sleepers = Sleepers()
        self._due: dict[str, Audience] = {}
        self._missed: dict[str, Audience] = {}
        self._looking: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.Task[None] | None = None

    def get(self, username: str) -> Audience | None:
        """That of a user to whom somebody has listened a moment ago."""
        return self._all.get(username)

    def of(self, login: Login) -> Audience:
        """That of a user whose accounts are in memory."""
        audience = self._all.get(login.username)
        if audience is None or audience.is_over:
            audience = self._all[login.username] = Audience(login)
            self._wake(audience, login)
        if self._may_sleep and self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())
        return audience

    def awoken(self, login: Login) -> None:
        """The accounts of a user have come into memory."""
        audience = self._all.get(login.username)
        if audience is not None and audience.is_asleep:
            self._sleepers.discard(audience)
            self._wake(audience, login)

    def left(self, login: Login) -> None:
        """They have gone out of it: unless they sleep, that is the end."""
        audience = self._all.get(login.username)
        if audience is not None and not audience.is_asleep:
            self._end(audience)

    def reported(self, username: str, mailboxes: Iterable[str]) -> None:
        """Look at the sleepers in which a user's session has changed something.

        mailboxes: as that user names them.
        """
        for audience in self._sleepers.concerned(username, mailboxes):
            if audience:
                self._look_at(audience)
            else:  # what is known of it is not true any more
                self._end(audience)

    def announce(self, account_id: str, kind: str, state: str) -> None:
        """Tell those whose account is not in memory of a new state of what is in no mailbox."""
        for audience in self._all.values():
            if audience.account_id == account_id and audience.is_asleep:
                audience.announce(kind, state)

    async def close(self) -> None:
        """Look at nothing any more."""
        tasks = [*self._looking, *([self._ticking] if self._ticking is not None else [])]
        self._due.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _wake(self, audience: Audience, login: Login) -> None:
        is_lively = time.monotonic() - audience.slept_at < LIVELY_SECONDS
        longer = min(2 * audience.rest_seconds, QUIET_SECONDS)
        audience.rest_seconds = longer if is_lively else REST_SECONDS
        audience.wake(login)
        self._awake[audience] = login

    def _end(self, audience: Audience) -> None:
        self._sleepers.discard(audience)
        self._awake.pop(audience, None)
        self._missed.pop(audience.username, None)
        if self._all.get(audience.username) is audience:
            del self._all[audience.username]
        audience.end()

    # --- looking at those that sleep -------------------------------------------------------------

    def _look_at(self, audience: Audience) -> None:
        # No task for each: a mailbox that ten thousand see would stop the event loop.
        self._due[audience.username] = audience
        if len(self._looking) < WAKING:
            task = asyncio.create_task(self._look_at_those_due())
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _look_at_those_due(self) -> None:
        while self._due:
            username = next(iter(self._due))
            audience = self._due.pop(username)
            if audience.is_asleep and not audience.is_over:
                await self._look(audience)

    async def _look(self, audience: Audience) -> None:
        audience.looked_at = time.monotonic()
        try:
            await self._log_in(audience.door.credentials, audience.door.client)
            await audience.fresh()
        except AuthenticationFailed:
            self._end(audience)
        except ImapError as error:
            log.info("sleeper_unknown", reason=type(error).__name__)
            self._missed[audience.username] = audience

    # --- now and then ----------------------------------------------------------------------------

    async def _tick(self) -> None:
        swept_at = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.monotonic()
            self._put_quiet_to_sleep(now)
            if now - swept_at > _SWEEP_SECONDS:
                self._look_after_sleepers(now, (now - swept_at) / LOOK_SECONDS)
                swept_at = now

    def _put_quiet_to_sleep(self, now: float) -> None:
        for audience, login in [*self._awake.items()]:
            if audience and _is_quiet(audience, login, now):
                audience.sleep()
                del self._awake[audience]
                self._sleepers.add(audience, login.namespaces)
                self._leave(login)

    def _look_after_sleepers(self, now: float, share: float) -> None:
        """Reports may get lost; and those to whom nobody listens any more are forgotten."""
        missed, self._missed = self._missed, {}
        for audience in missed.values():
            self._look_at(audience)
        for audience in self._sleepers.forgotten(now - LINGER_SECONDS):
            self._end(audience)
        for audience in self._sleepers.longest_unseen(1 + int(len(self._sleepers) * share)):
            if now - audience.looked_at > LOOK_SECONDS:
                self._look_at(audience)


def _is_quiet(audience: Audience, login: Login, now: float) -> bool:
    has_rested = now - audience.stirred_at >= audience.rest_seconds
    return has_rested and now - login.asked_at >= QUIET_SECONDS and login.is_settled
