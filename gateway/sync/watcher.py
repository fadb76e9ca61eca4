"""RFC 5465 (NOTIFY), RFC 2177 (IDLE): learning of changes in a user's accounts as they happen.

The ladder, by what the server has and who is looking:

- the server reports events by itself (gateway.http.events): no connection at all;
- a client is active: NOTIFY, which tells of all mailboxes;
- else, or without NOTIFY: IDLE on the inbox, which lets Dovecot hibernate;
- and what none of these tells is looked for every now and then.

All accounts of a login share one connection for this. To look is not done here: `on_change` makes
an account look at the counters of its mailboxes, if somebody is interested, or remember that it is
to do so.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from gateway.imap.commands.examine import Examine
from gateway.imap.commands.idle import idle
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused, ImapError
from gateway.imap.pool import Pool
from gateway.imap.wire.responses import Untagged
from gateway.obs.log import get_logger
from gateway.sync.extent import OWN, Extent
from gateway.sync.mailboxes import Mailbox
from gateway.sync.waiting import first_of
from gateway.sync.watch_notify import NotifyWatch, can_notify

POLL_SECONDS = 60.0
"""Between two looks for what the server would not tell."""
SHARED_SECONDS = 15.0
"""Between two looks at what others share while somebody listens: of much of it IMAP has no way to
tell, and a look is at few mailboxes."""
SAFETY_SECONDS = 600.0
"""Between two looks while the server reports everything, as reports may get lost."""
LOOK_SHARE = 0.01
"""Looking takes this share of the time at most: an account may have thousands of mailboxes."""
RETRY_FIRST = 2.0
"""Seconds after a lost connection; doubled by each further loss. A server that comes back meets
the watchers of all its users, so they come one by one."""
RETRY_LAST = 300.0
CROWDED_SECONDS = 300.0
"""A user with so many programs that the server allows no second connection is left that long."""
_SETTLING_SECONDS = 0.3
"""Accounts that come in a row are told of to the server together."""
_STEADY_SECONDS = 60.0  # a connection that lasted so long was no failure
_DEADLINE = 60.0
_INBOX_EVENTS = frozenset({"EXISTS", "EXPUNGE", "VANISHED", "FETCH"})

log = get_logger(__name__)


class Listed(Protocol):
    """What the watcher has to know of an account."""

    @property
    def mailboxes(self) -> Mapping[str, Mailbox]:
        """The mailboxes there are, by id."""
        ...


class Watch:
    """One account among those that a login watches.

    look_seconds: how long a look at all counters takes on this server; the account keeps it.
    told_of: see gateway.sync.watch_notify.Told.
    """

    def __init__(
        self, watcher: Watcher, data: Listed, on_change: Callable[[], None], extent: Extent
    ) -> None:
        self.look_seconds = 0.0
        self.extent = extent
        self.told_of: frozenset[bytes] | None = None
        self.data = data
        self.on_change = on_change
        self._watcher = watcher
        self._active = False

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own account."""
        return self.extent == OWN

    @property
    def active(self) -> bool:
        """Whether somebody listens, or asked a moment ago: NOTIFY is worth a connection."""
        return self._active

    @active.setter
    def active(self, active: bool) -> None:
        if active != self._active:
            self._active = active
            # What is told of an account needlessly is no reason for another connection.
            if self.is_own or active or not self._watcher.active:
                self._watcher.switch()

    @property
    def vouches(self) -> bool:
        """Whether the server tells of any change in any mailbox (Dovecot: half a second later)."""
        return self.told_of is not None

    def wires(self) -> Collection[bytes]:
        """The wire names of the mailboxes that can be selected."""
        mailboxes = self.data.mailboxes.values()
        return {m.wire for m in mailboxes if m.wire is not None and m.status is not None}

    def listed(self) -> None:
        """The account has other mailboxes than before."""
        if self.is_own or (self.told_of is not None and self.told_of.issuperset(self.wires())):
            return
        self.told_of = None
        if self._active:
            self._watcher.switch()

    def leave(self) -> None:
        """The account is watched no longer."""
        self._watcher.leave(self)

    async def run(self) -> None:
        """Watch as long as the account is in memory; lost connections are made again.

        The user's own account keeps the connection on which the server tells of all.
        """
        looking = asyncio.create_task(self._look_now_and_then())
        try:
            if self.is_own:
                await self._watcher.run()
            await looking
        finally:
            looking.cancel()

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._until_look())
            self.on_change()

    def _until_look(self) -> float:
        # Dovecot's NOTIFY passes over some changes of the list of mailboxes.
        least = SAFETY_SECONDS if self._watcher.server_events else POLL_SECONDS
        if not (self.is_own or self.vouches or self._watcher.server_events):
            least = SHARED_SECONDS
        # Watchers that lost a server at the same time are not to look at the same time for ever.
        return max(least, self.look_seconds / LOOK_SHARE) * random.uniform(0.8, 1.0)  # noqa: S311


class Watcher:
    """Watches the accounts of one login with one connection of its pool at most."""

    def __init__(self, pool: Pool, *, server_events: bool = False) -> None:
        """server_events: the server reports changes to the gateway by itself."""
        self.server_events = server_events
        self._pool = pool
        self._watches: list[Watch] = []
        self._may_notify = True  # as far as is known of the server
        self._switched = asyncio.Event()  # another step of the ladder is to be taken
        self._switching: asyncio.TimerHandle | None = None
        self._is_crowded = False
        pool.on_crowded = self._make_room

    def join(self, data: Listed, on_change: Callable[[], None], extent: Extent = OWN) -> Watch:
        """Watch one more account; the first one is the user's own.

        `on_change` is called when something changed, and whenever it may have.
        """
        watch = Watch(self, data, on_change, extent)
        self._watches.append(watch)
        return watch

    def leave(self, watch: Watch) -> None:
        """Watch one account less."""
        self._watches.remove(watch)

    def switch(self) -> None:
        """Others are looking than before, or at other mailboxes."""
        if not self._may_notify:
            return
        if len(self._watches) == 1:
            self._switched.set()
        elif self._switching is None:
            loop = asyncio.get_running_loop()
            self._switching = loop.call_later(_SETTLING_SECONDS, self._switch)

    def _switch(self) -> None:
        self._switching = None
        self._switched.set()

    def _begin_step(self) -> None:
        """Whatever was to be taken up is taken up now."""
        self._switched.clear()
        if self._switching is not None:
            self._switching.cancel()
            self._switching = None

    @property
    def active(self) -> bool:
        """Whether some of the accounts are."""
        return any(watch.active for watch in self._watches)

    def _told(self) -> list[Watch]:
        """Who is to be told of changes: what others share only while it is used."""
        return [watch for watch in self._watches if watch.is_own or watch.active]

    async def run(self) -> None:
        """Be told of changes for as long as there is a connection to spare."""
        # The only connection of an account is for what its user asks for.
        if not self.server_events and self._pool.size > 1:
            await self._listen()

    # --- listening ---------------------------------------------------------------------------

    async def _listen(self) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        while True:
            started = loop.time()
            if self._is_crowded:
                await asyncio.sleep(CROWDED_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311
                self._is_crowded = False
            try:
                if await self._connected():
                    continue
                # The server tells nothing of its own accord, at least to those who are not active.
                await self._switched.wait()
            except ImapError as error:
                log.info("watch_interrupted", reason=type(error).__name__)
                failures = 1 if loop.time() - started > _STEADY_SECONDS else failures + 1
                await first_of(self._switched, seconds=_pause(failures))

    def _make_room(self) -> None:
        """What connections the server allows are for what the user asks for."""
        self._is_crowded = True
        self._switched.set()

    async def _connected(self) -> bool:
        """Be told until another step is to be taken; False when the server tells nothing.

        Raises ImapError when the connection is lost.
        """
        inbox = self._inbox()
        wanted = None if self.active else inbox
        async with self._pool.connection(wanted, deadline=_DEADLINE, examined=False) as connection:
            self._begin_step()
            if self._is_crowded:
                return True
            self._may_notify = can_notify(connection)
            if self.active and self._may_notify:
                try:
                    await NotifyWatch(connection, self._told).run(self._switched)
                    return True
                except CommandRefused as refused:
                    log.info("notify_refused", reason=str(refused))
                    self._may_notify = False
            if inbox is None or "IDLE" not in connection.capabilities:
                return False
            return await self._idle(connection, inbox)

    @property
    def _own(self) -> Watch:
        return self._watches[0]

    def _inbox(self) -> bytes | None:
        mailboxes = self._own.data.mailboxes.values()
        return next((m.wire for m in mailboxes if m.role == "inbox"), None)

    async def _idle(self, connection: Connection, inbox: bytes) -> bool:
        """Be told of the inbox; False when the server refuses."""

        def on_response(response: Untagged) -> None:
            if response.name in _INBOX_EVENTS:
                self._own.on_change()

        await connection.run(Examine(inbox))
        self._own.on_change()  # what came before it
        try:
            await idle(connection, on_response, self._switched)
        except CommandRefused:
            return False
        return True


def _pause(failures: int) -> float:
    delay = min(RETRY_LAST, RETRY_FIRST * 2.0 ** min(failures - 1, 20))
    return delay * random.uniform(0.5, 1.0)  # noqa: S311
