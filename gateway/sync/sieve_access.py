"""RFC 5804: how the ManageSieve server is reached, and as whom; what it can do is learnt so.

A user's connection is opened when it is needed, as the user, and closed soon after its last use.
Whether there is a server at all is found out by the first login of this process; what it told the
last user holds for others until they have a connection themselves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass
from ssl import SSLContext
from typing import Final, TypeVar

from gateway.config import SieveUrl
from gateway.managesieve.connection import COMMAND_SECONDS, CONNECT_SECONDS, Connection
from gateway.managesieve.errors import (
    AuthenticationFailed,
    CommandTimeout,
    ConnectionLost,
    ProtocolError,
    TryLater,
)
from gateway.managesieve.wire.capability import Capabilities
from gateway.obs.log import get_logger
from gateway.sasl import AnyCredentials
from gateway.sync.errors import ScriptsRefused, ScriptsUnavailable

T = TypeVar("T")

IDLE_SECONDS: Final = 30.0
"""After which an unused connection is closed: who edits scripts comes back soon or not for long."""
WAIT_SECONDS: Final = 60.0
"""For so long one who wants the connection waits for others to be done."""
RETRY_SECONDS = 3.0
"""For so long after a failure to connect, everybody is told of it at once."""
REFUSED_SECONDS: Final = 600.0
"""So long a server that refused to let somebody in is not asked with the same credentials."""
INTRODUCE_SECONDS = 2.0
"""For so long the first login waits to learn what there is."""
INTRODUCE_AGAIN_SECONDS = 60.0
"""After which a server that was not there is looked for again."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SieveSettings:
    """Where the ManageSieve server is; without TLS there is no context."""

    url: SieveUrl
    ssl_context: SSLContext | None
    connect_seconds: float = CONNECT_SECONDS
    command_seconds: float = COMMAND_SECONDS


class SieveServer:
    """The server as all users of this process know it.

    presumed: what it can do for users who have had no connection yet; None as long as nobody knows.
    """

    def __init__(self, settings: SieveSettings) -> None:
        self.settings = settings
        self.presumed: Capabilities | None = None
        self._introducing: asyncio.Task[None] | None = None
        self._patience = 0.0
        self._not_before = float("-inf")

    async def introduce(self, access: SieveAccess) -> None:
        """Let a user who has just logged in find out what there is, if nobody has.

        It is waited for at the first time only, and not for long.
        """
        if self.presumed is not None:
            return
        now = time.monotonic()
        if self._introducing is None:
            self._patience = now + INTRODUCE_SECONDS
        if now >= self._not_before:
            self._not_before = now + INTRODUCE_AGAIN_SECONDS
            self._introducing = asyncio.create_task(_introduce(access), context=Context())
        if self._introducing is not None and now < self._patience:
            await asyncio.wait((self._introducing,), timeout=self._patience - now)

    async def close(self) -> None:
        """Stop looking for it."""
        if self._introducing is not None:
            self._introducing.cancel()
            await asyncio.wait((self._introducing,))


async def _introduce(access: SieveAccess) -> None:
    """The session is not kept: until it does something, Cyrus lets no other of a new user in."""
    with suppress(ScriptsUnavailable):
        async with access.held():
            await access.connect()
            await access.renew()


class SieveAccess:
    """One user's connection. `credentials` gives those that the mail server took last.

    on_rest: called when nobody has used it for a while.
    """

    def __init__(self, server: SieveServer, credentials: Callable[[], AnyCredentials]) -> None:
        self.on_rest: Callable[[], None] = lambda: None
        self._server = server
        self._credentials = credentials
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._own: Capabilities | None = None
        self._failure: ScriptsUnavailable | None = None  # told to all until the next attempt
        self._not_before = float("-inf")
        self._refused: AnyCredentials | None = None
        self._refused_until = float("-inf")
        self._idle: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server can do for the user; None if that is nothing, as far as is known."""
        if self._is_refused():
            return None
        return self._own or self._server.presumed

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that is not known to be of no use."""
        return self._connection is not None and not self._connection.closed

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Have the connection for oneself. Raises ScriptsUnavailable when others take too long."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise ScriptsUnavailable("others are at the scripts all the time") from None
        try:
            if self._idle is not None:
                self._idle.cancel()
            yield
        finally:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(IDLE_SECONDS, self._rest)
            self._lock.release()

    async def run(self, command: Callable[[Connection], Awaitable[T]]) -> T:
        """What a command gives, on the connection that one holds.

        Raises what the command does, and ScriptsUnavailable when no connection can be had.
        """
        return await command(await self.connect())

    async def connect(self) -> Connection:
        """The connection that one holds, open and logged in. Raises ScriptsUnavailable."""
        if self._connection is not None and not self._connection.closed:
            return self._connection
        if self._is_refused():
            raise ScriptsRefused("these credentials were refused before")
        if self._failure is not None and time.monotonic() < self._not_before:
            raise self._failure
        credentials = self._credentials()
        try:
            with unavailable():
                self._connection = await self._open(credentials)
        except ScriptsRefused:
            self._refused, self._refused_until = credentials, time.monotonic() + REFUSED_SECONDS
            raise
        except ScriptsUnavailable as error:
            self._failure, self._not_before = error, time.monotonic() + RETRY_SECONDS
            log.info("sieve_unavailable", reason=str(error))
            raise
        self._failure = self._refused = None
        return self._connection

    async def renew(self) -> None:
        """Let the next command be in a new session.

        Cyrus (3.6) refuses in one session, without saying why, what another has stored since.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _open(self, credentials: AnyCredentials) -> Connection:
        """Raises SieveError."""
        settings = self._server.settings
        connection = await Connection.open(
            settings.url,
            settings.ssl_context,
            connect_seconds=settings.connect_seconds,
            command_seconds=settings.command_seconds,
        )
        greeted = connection.capabilities
        try:
            await connection.login(credentials)
        except BaseException as error:
            if isinstance(error, AuthenticationFailed):  # why, the client is not told
                log.info("sieve_login_refused", code=error.code, text=error.text)
                self._server.presumed = self._server.presumed or greeted  # others may be let in
            await connection.close()
            raise
        self._own = self._server.presumed = connection.capabilities
        return connection

    def _is_refused(self) -> bool:
        is_the_same = self._refused is not None and self._refused == self._credentials()
        return is_the_same and time.monotonic() < self._refused_until

    def _rest(self) -> None:
        """Close a connection that nobody uses."""
        if self._lock.locked():
            return
        self.on_rest()
        if self._connection is not None:
            closing = asyncio.create_task(self._connection.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            self._connection = None

    async def close(self) -> None:
        """Close the connection."""
        if self._idle is not None:
            self._idle.cancel()
        await self.renew()
        await asyncio.gather(*self._closing)


@contextmanager
def unavailable() -> Iterator[None]:
    """Raises ScriptsUnavailable for failures that are not about what was asked for."""
    try:
        yield
    except AuthenticationFailed as error:
        raise ScriptsRefused(str(error)) from error
    except (ConnectionLost, CommandTimeout, ProtocolError, TryLater) as error:
        raise ScriptsUnavailable(str(error)) from error
