"""Design §4: a few connections for one account, shared by all that work for it.

Servers bound the connections of a user, so a pool has two by default and prefers the one that has
the wanted mailbox open already. A server that wants to be left alone is, by all who share the pool.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.imap.commands.examine import examine
from gateway.imap.connection import Connection
from gateway.imap.errors import (
    AuthenticationFailed,
    CommandTimeout,
    ConnectionLost,
    ImapError,
    ServerBusy,
    Throttled,
)
from gateway.imap.refusals import OVERQUOTA

SIZE = 2
IDLE_SECONDS = 60.0
_BACKOFF_FIRST = 0.5  # seconds after a failure to connect; doubled by each further one
_BACKOFF_LAST = 30.0
_PATIENCE = 1.0  # seconds of that which a caller waits out; of a longer pause it is told at once
_SUGGESTED_LAST = 300.0  # seconds a server may suggest to be left alone
# Gmail locks out for a day those who go on after they had their share of octets.
_OVERQUOTA_FIRST = 600.0
_OVERQUOTA_LAST = 4 * 3600.0


class Pool:
    """At most `size` connections made by `connect`, which gives a logged-in one.

    Those idle for `idle_seconds` are closed. After a failure to connect, the next attempt waits,
    longer each time and with jitter, so that many pools do not come back to a server at once;
    meanwhile callers get the same failure. So do all callers when the server finds that one asks
    too much (Throttled), for as long as it says.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        size: int = SIZE,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._connect = connect
        self._size = size
        self._idle_seconds = idle_seconds
        self._idle: list[tuple[Connection, asyncio.TimerHandle]] = []  # least recently used first
        self._leased: set[Connection] = set()
        self._connecting = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False
        self._failures = 0
        self._failure: ImapError | None = None  # the latest one, told until the next attempt
        self._not_before = 0.0  # loop time before which no attempt to connect is made
        self._refused = False  # whether that holds for connections there are as well
        self._full_at: int | None = None  # as many as the server allowed, when it said "busy"
        self.on_crowded: Callable[[], None] = _nobody
        """Called when that happens: who holds a connection for long is to give it back."""

    @asynccontextmanager
    async def connection(
        self,
        mailbox: bytes | None = None,
        deadline: float = 30.0,
        *,
        examined: bool = True,
        patience: float | None = None,
    ) -> AsyncIterator[Connection]:
        """Lend a connection, EXAMINEd on `mailbox` if one is named, within `deadline` seconds.

        Without a mailbox, any state. With `examined` false, `mailbox` is only a preference: the
        caller sends its own EXAMINE, in one go with what follows. Who comes first is served first.
        A pause after a failure is waited out if it is not longer than `patience`, in seconds.
        Raises what `connect` and EXAMINE raise (MailboxUnavailable), CommandTimeout when no
        connection became free, and ConnectionLost when the pool is closed.
        """
        patience = _PATIENCE if patience is None else patience
        try:
            async with asyncio.timeout(deadline):
                lent = await self._lease(mailbox, patience)
        except TimeoutError:
            raise CommandTimeout("connection", deadline) from None
        try:
            if mailbox is not None and examined and not _has(lent, mailbox):
                await examine(lent, mailbox)
            yield lent
        except (Throttled, AuthenticationFailed) as error:
            self._refused = True
            self._failed(error)
            raise
        else:
            if self._refused:
                self._succeeded()
        finally:
            self._return(lent)

    def adopt(self, connection: Connection) -> None:
        """Take over a connection that is logged in, as if the pool had made it."""
        self._return(connection)

    async def close(self) -> None:
        """Close all connections, lent ones too; waiting callers get ConnectionLost."""
        self._closed = True
        self._wake()
        idle, self._idle = self._idle, []
        for _, timer in idle:
            timer.cancel()
        ends = [connection.close() for connection in (*self._leased, *(each for each, _ in idle))]
        await asyncio.gather(*ends, *self._closing)
        self._connect, self.on_crowded = _closed, _nobody  # who made the pool need not stay

    @property
    def size(self) -> int:
        """Connections there can be."""
        return self._size

    @property
    def count(self) -> int:
        """Connections there are, idle, lent or being made."""
        return len(self._idle) + len(self._leased) + self._connecting

    async def _lease(self, mailbox: bytes | None, patience: float) -> Connection:
        """The best connection there is, once it is this caller's turn."""
        first = False
        while True:
            if self._refused:
                await self._pause(patience)
            await self._turn(first)
            if self._closed:
                self._wake()
                raise ConnectionLost("the pool is closed")
            idle = self._choose(mailbox)
            if idle is not None:
                self._wake()
                return idle
            if self._may_connect():
                try:
                    return await self._make(patience)
                except ServerBusy:
                    if not self._shrink():
                        raise
            first = True

    async def _turn(self, first: bool) -> None:
        """Wait in line until something is available; `first` puts a caller back to the front."""
        if not self._waiters and self._available():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._waiters.appendleft if first else self._waiters.append)(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            self._waiters.remove(waiter)
            self._wake()
            raise
        self._waiters.remove(waiter)

    def _wake(self) -> None:
        """Let the first in line try, if there is something to have. It stays in line until then."""
        if self._waiters and not self._waiters[0].done() and self._available():
            self._waiters[0].set_result(None)

    def _available(self) -> bool:
        return self._closed or any(not each.closed for each, _ in self._idle) or self._may_connect()

    def _may_connect(self) -> bool:
        self._prune()
        limit = self._size if self._full_at is None else min(self._size, self._full_at)
        return self.count < limit

    def _shrink(self) -> bool:
        """After "busy": do with the connections there are, if there are any."""
        others = self.count
        if others:
            self._full_at = others
            self.on_crowded()
        return bool(others)

    def _choose(self, mailbox: bytes | None) -> Connection | None:
        """An idle connection to take; None when there is none or a new one is better."""
        self._prune()
        ranked = sorted(self._idle, key=lambda each: _preference(each[0], mailbox))
        if not ranked or (_preference(ranked[0][0], mailbox) == _OTHER and self._may_connect()):
            return None
        connection, timer = ranked[0]
        timer.cancel()
        self._idle.remove(ranked[0])
        self._leased.add(connection)
        return connection

    def _prune(self) -> None:
        """Forget idle connections that the server closed."""
        for connection, timer in self._idle:
            if connection.closed:
                timer.cancel()
        self._idle = [each for each in self._idle if not each[0].closed]

    async def _make(self, patience: float) -> Connection:
        self._connecting += 1
        self._wake()
        try:
            await self._pause(patience)
            connection = await self._connect()
            self._leased.add(connection)
            if not self._refused:
                self._succeeded()
        except ImapError as error:
            if error is not self._failure:
                self._failed(error)
            raise
        finally:
            self._connecting -= 1
            self._wake()
        if self._closed:
            self._return(connection)
            raise ConnectionLost("the pool is closed")
        return connection

    async def _pause(self, patience: float) -> None:
        """Wait until the server is to be asked again, unless that is too long from now."""
        pause = self._not_before - asyncio.get_running_loop().time()
        if self._failure is not None and pause > patience:
            raise self._failure.with_traceback(None)
        if pause > 0:
            await asyncio.sleep(pause)

    def _failed(self, error: ImapError) -> None:
        self._failures += 1
        self._failure = error
        first, last = _BACKOFF_FIRST, _BACKOFF_LAST
        if isinstance(error, ServerBusy) and error.code == OVERQUOTA:
            first, last = _OVERQUOTA_FIRST, _OVERQUOTA_LAST
        delay = min(last, first * 2 ** (self._failures - 1))
        delay *= random.uniform(0.5, 1.0)  # noqa: S311
        if isinstance(error, ServerBusy) and error.seconds is not None:
            delay = max(delay, min(error.seconds, _SUGGESTED_LAST))
        self._not_before = asyncio.get_running_loop().time() + delay

    def _succeeded(self) -> None:
        self._failures, self._failure, self._refused = 0, None, False

    def _return(self, connection: Connection) -> None:
        self._leased.discard(connection)
        if not connection.closed and not self._closed and not connection.busy:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._idle_seconds, self._retire, connection)
            self._idle.append((connection, timer))
        else:
            self._end(connection)
        self._wake()

    def _retire(self, connection: Connection) -> None:
        """Close a connection nobody has needed for long."""
        self._idle = [each for each in self._idle if each[0] is not connection]
        self._end(connection)

    def _end(self, connection: Connection) -> None:
        self._full_at = None
        task = asyncio.get_running_loop().create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _closed() -> Connection:
    raise ConnectionLost("the pool is closed")


def _nobody() -> None:
    pass


_OTHER = 2


def _preference(connection: Connection, mailbox: bytes | None) -> int:
    """0 for the wanted state, 1 for a connection without a mailbox, _OTHER for one to be moved."""
    if mailbox is None or _has(connection, mailbox):
        return 0
    return 1 if connection.selected is None else _OTHER


def _has(connection: Connection, mailbox: bytes) -> bool:
    return connection.selected is not None and connection.selected.mailbox == mailbox
