"""RFC 9051 §2, §3, §5.5: one connection to an IMAP server: states, pipelining, deadlines.

A command that is cancelled or not answered in time ends the connection, so no later command can
read its answer. What a server refuses because it is too much is asked for in parts.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from gateway import __version__
from gateway.imap.command import Command
from gateway.imap.commands.capability import Capability
from gateway.imap.commands.login import log_in
from gateway.imap.commands.logout import Logout
from gateway.imap.commands.starttls import StartTls
from gateway.imap.dispatch import Dispatcher, Running
from gateway.imap.division import in_parts
from gateway.imap.errors import (
    MESSAGELIMIT,
    CommandRefused,
    CommandTimeout,
    ConnectionLost,
    ImapError,
    ProtocolError,
    ServerBusy,
)
from gateway.imap.quirks import Learnt, announced, line_octets
from gateway.imap.transport import Transport
from gateway.imap.wire.capability import Capabilities
from gateway.obs.metrics import IMAP_CONNECTIONS
from gateway.sasl import AnyCredentials, Credentials

__all__ = ["Connection", "Credentials", "Endpoint"]

T = TypeVar("T")

TIMEOUT = 60.0
"""Seconds for a command, from being sent to its tagged response, unless the caller says so."""
SILENCE = 30.0
"""Seconds without any octet after which a running command is given up."""
_LOGOUT_SECONDS = 2.0
_REST_OF_LINE = 250  # octets of a command line beside its set of UIDs


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens. Whether "plain" is acceptable is the configuration's to say."""

    host: str
    port: int
    security: Literal["tls", "starttls", "plain"]


class Connection(Dispatcher):
    """A connection to one server for one user. Get one from `Connection.open`, then `login`.

    opened: when it was made, by time.monotonic().
    """

    def __init__(
        self, endpoint: Endpoint, *, silence: float = SILENCE, learnt: Learnt | None = None
    ) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.enabled = Capabilities()
        self.server_name: str | None = None
        self.learnt = learnt or Learnt()
        self.quirks = self.learnt.quirks
        self._silence = silence
        self._lock = asyncio.Lock()
        self._heard = self._loop.time()
        self.opened = time.monotonic()
        self._transport: Transport | None = None
        self._counted = False  # among the open connections, for the metrics

    # --- Life ----------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls,
        endpoint: Endpoint,
        ssl_context: ssl.SSLContext | None,
        deadline: float = 20.0,
        *,
        silence: float = SILENCE,
        learnt: Learnt | None = None,
    ) -> Connection:
        """Connect, negotiate TLS and read the greeting, within `deadline` seconds.

        `ssl_context` verifies the server; it is needed unless the endpoint is plain. `learnt` is
        what other connections to the server found out, and is added to. Raises
        ConnectionLost (refused, TLS failures, ...), ServerBusy (greeted with BYE), ProtocolError,
        CommandTimeout.
        """
        if (ssl_context is None) != (endpoint.security == "plain"):
            raise ValueError("TLS needs an SSL context, and a plain connection none")
        connection = cls(endpoint, silence=silence, learnt=learnt)
        try:
            async with asyncio.timeout(deadline):
                await connection._open(ssl_context)
        except BaseException as error:
            connection._fail(ConnectionLost("not opened"))
            if isinstance(error, TimeoutError):
                raise CommandTimeout("connect", deadline) from None
            if isinstance(error, OSError):
                raise ConnectionLost(str(error)) from error
            raise
        return connection

    async def _open(self, ssl_context: ssl.SSLContext | None) -> None:
        implicit = ssl_context if self.endpoint.security == "tls" else None
        transport = Transport(
            self.endpoint.host, self.endpoint.port, self, implicit, timeout=SILENCE
        )
        self._transport = transport
        await transport.wait_hello_from_server()
        self._counted = True
        IMAP_CONNECTIONS.inc()
        greeting = self._greeting.result()
        if greeting.name == "BYE":
            code = greeting.text.code
            raise ServerBusy(code.name if code else None, greeting.text.text)
        if greeting.name != "OK":  # PREAUTH: as whom? And no TLS could follow (RFC 9051 §11.1)
            raise ProtocolError(f"the server greets with {greeting.name}")
        if self.endpoint.security == "starttls" and ssl_context is not None:
            await self._start_tls(transport, ssl_context)

    async def _start_tls(self, transport: Transport, ssl_context: ssl.SSLContext) -> None:
        """RFC 9051 §6.2.1, §11.1. What was said before TLS is forgotten."""
        try:
            await self.run(StartTls())
        except CommandRefused as refused:
            raise ProtocolError(f"the server refuses STARTTLS: {refused.text}") from refused
        if self._lost is not None:  # more than the answer came
            raise self._lost
        await transport.start_tls(ssl_context)
        self._plain_ends = False
        self.capabilities = Capabilities()
        await self.run(Capability())

    async def login(
        self, credentials: AnyCredentials, client_address: str, client_id: str | None = None
    ) -> None:
        """Authenticate as a user who is at `client_address` (an IP address).

        `client_id` names the client's session in the server's log. Raises AuthenticationFailed,
        ServerBusy, and what `run` raises.
        """
        identification = {
            "name": "jmap-gateway",
            "version": __version__,
            "x-originating-ip": client_address,
        }
        if client_id is not None:
            identification["x-session-ext-id"] = client_id
        await log_in(self, credentials, identification)
        self.quirks |= announced(self.capabilities)

    @property
    def closed(self) -> bool:
        """Whether the connection is of no more use."""
        return self._lost is not None

    @property
    def busy(self) -> bool:
        """Whether a command runs."""
        return self._lock.locked()

    @property
    def max_set(self) -> int:
        """Octets of a UID set in one command."""
        octets = line_octets(self.capabilities, self.server_name)
        if self.learnt.line is not None:
            octets = min(octets, self.learnt.line)
        return max(octets - _REST_OF_LINE, _REST_OF_LINE)

    @property
    def max_messages(self) -> int | None:
        """Messages that one command may be about (RFC 9738), None without such a limit."""
        name = MESSAGELIMIT + "="
        limits = (c.removeprefix(name) for c in self.capabilities if c.startswith(name))
        return next((int(limit) for limit in limits if limit.isdigit()), None)

    @property
    def has_modseqs(self) -> bool:
        """RFC 7162 §3.1.2: whether the selected mailbox keeps mod-sequences."""
        return (
            not self.capabilities.isdisjoint(("CONDSTORE", "QRESYNC"))
            and self.selected is not None
            and bool(self.selected.highestmodseq)
        )

    async def close(self) -> None:
        """Log out if no command runs, and close."""
        if self._lost is None and not self._lock.locked():
            with suppress(ImapError):  # the connection ends in any case
                await self.run(Logout(), timeout=_LOGOUT_SECONDS)
        self._fail(ConnectionLost("closed"))

    # --- Commands ------------------------------------------------------------------------------

    async def run(self, command: Command[T], *, timeout: float = TIMEOUT) -> T:
        """Run one command and return its result.

        Raises CommandRefused; ValueError for arguments IMAP can not carry (nothing is sent);
        ConnectionLost, CommandTimeout, ProtocolError: the connection is closed then.
        """
        (result,) = await self.run_all(command, timeout=timeout)
        if isinstance(result, CommandRefused):
            raise result
        return result  # type: ignore[no-any-return]

    async def run_all(
        self, *commands: Command[Any], timeout: float = TIMEOUT
    ) -> list[Any | CommandRefused]:
        """Run commands in one round trip; gives each one's result, or why it was refused.

        The server may run them in any order: only commands that do not depend on each other.
        Raises what `run` raises, except CommandRefused.
        """
        async with self._exclusively(commands[0].name if commands else "", timeout):
            running = self._send(commands)
            for each in running:
                await self._feed(each, timeout)
            await self._settle(running, timeout)
            return [await self._outcome(each, timeout) for each in running]

    async def stream(
        self, commands: Iterable[Command[T]], *, window: int = 2, timeout: float = TIMEOUT
    ) -> AsyncIterator[T]:
        """Run many commands, `window` of them at a time, so that the server is never idle.

        Gives the results in order. `timeout` is for each. Raises what `run` raises; leaving the
        iteration early, other than by a refusal, closes the connection.
        """
        source = iter(commands)
        waiting: deque[Running] = deque()
        async with self._exclusively("stream", timeout):
            try:
                while True:
                    while len(waiting) < window and (command := next(source, None)) is not None:
                        waiting.extend(self._send([command]))
                    if not waiting:
                        return
                    first = waiting[0]
                    await self._settle([first], timeout)
                    waiting.popleft()
                    if first.is_refused:  # its parts are not to get the answers to others
                        await self._settle(waiting, timeout)
                    result = await self._outcome(first, timeout)
                    if isinstance(result, CommandRefused):
                        raise result
                    if (command := next(source, None)) is not None:
                        waiting.extend(self._send([command]))
                    yield result
            finally:
                if any(not each.future.done() for each in waiting):
                    self._fail(ConnectionLost("a stream of commands was left"))

    async def _outcome(self, running: Running, timeout: float) -> Any | CommandRefused:
        """The result of a command that was answered; of one refused, that of its parts."""
        result = running.future.result()
        if not isinstance(result, CommandRefused):
            return result

        async def run(command: Command[Any]) -> Any | CommandRefused:
            (piece,) = self._send([command])
            await self._settle([piece], timeout)
            return piece.future.result()

        return await in_parts(running.command, result, run)

    async def _feed(self, running: Running, timeout: float) -> None:
        """Send the upload of a command, when the server is ready for it."""
        upload, transport = running.upload, self._transport
        if upload is None or transport is None:
            return
        try:
            async with asyncio.timeout(timeout):
                await running.uploading.wait()
            left = upload.size
            while left >= 0 and not running.future.done():
                async with asyncio.timeout(self._silence):
                    chunk = await anext(upload.chunks, b"")
                    if not chunk:
                        break
                    left -= len(chunk)
                    self._write(chunk[:left] if left < 0 else chunk)
                    await transport.drain()
            if left and not running.future.done():
                raise ValueError(f"an upload is not of the size that was announced: {left}")
            self._uploaded(running)
        except TimeoutError:
            late = CommandTimeout(running.command.name, timeout)
            self._fail(late)
            raise late from None
        except BaseException:
            self._fail(ConnectionLost("an upload was given up"))
            raise

    def conclude(self, command: Command[Any]) -> None:
        """Send the conclusion of a command that runs (DONE)."""
        if command.tag in self._running:
            self._write(command.conclusion)

    @asynccontextmanager
    async def _exclusively(self, name: str, timeout: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(timeout):
                await self._lock.acquire()
        except TimeoutError:
            raise CommandTimeout(name, timeout) from None
        try:
            if self._lost is not None:
                raise self._lost
            yield
        finally:
            self._lock.release()

    async def _settle(self, running: Iterable[Running], timeout: float) -> None:
        """Wait until all are answered. Closes the connection when that is not to be."""
        pending = {each.future for each in running}
        patient = any(each.command.patient for each in running)
        start = self._loop.time()
        try:
            while pending:
                now = self._loop.time()
                limit = start + timeout
                if not patient:
                    limit = min(limit, max(self._heard, start) + self._silence)
                if now >= limit:
                    name = next(r.command.name for r in running if not r.future.done())
                    raise CommandTimeout(name, now - start)
                _, pending = await asyncio.wait(pending, timeout=limit - now)
        except CommandTimeout as error:
            self._fail(error)
            raise
        except BaseException:
            self._fail(ConnectionLost("a command was given up"))
            raise

    # --- The link ------------------------------------------------------------------------------

    def received(self, chunk: bytes) -> None:
        """Octets came (called by the transport)."""
        self._heard = self._loop.time()
        if self._lost is not None:
            return
        try:
            self._read(chunk)
        except ImapError as error:
            self._fail(error)
        except Exception as error:
            failure = ProtocolError(f"unreadable response: {error!r}")
            failure.__cause__ = error
            self._fail(failure)

    def lost(self, error: Exception | None) -> None:
        """The link is gone (called by the transport)."""
        text = self._bye or (str(error) if error else "") or "the server closed the connection"
        self._fail(ConnectionLost(text, bye=self._bye is not None))

    async def greeted(self) -> None:
        """Wait for the greeting (called by the transport)."""
        await self._greeting

    def _write(self, octets: bytes) -> None:
        if self._transport is not None:
            self._transport.write(octets)

    def _fail(self, error: ImapError) -> None:
        """End the connection, and everything that waits for it."""
        self._give_up(error)
        transport, self._transport = self._transport, None  # which know each other
        if transport is not None:
            transport.abort()
        if self._counted:
            self._counted = False
            IMAP_CONNECTIONS.dec()
