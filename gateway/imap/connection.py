"""RFC 9051 §2, §3, §5.5: one connection to an IMAP server: states, pipelining, deadlines.

Answers to pipelined commands overtake each other, so tagged responses are matched by tag; untagged
ones are offered to the running commands in the order they were sent. Whatever nobody takes goes to
`on_unsolicited`: nothing is dropped. A command that is cancelled or not answered in time ends the
connection, so no later command can read its answer.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from gateway import __version__
from gateway.imap.command import Command
from gateway.imap.commands.capability import Capability
from gateway.imap.commands.examine import Selected
from gateway.imap.commands.login import Credentials, log_in
from gateway.imap.commands.logout import Logout
from gateway.imap.commands.starttls import StartTls
from gateway.imap.errors import (
    CommandRefused,
    CommandTimeout,
    ConnectionLost,
    ImapError,
    ProtocolError,
    ServerBusy,
)
from gateway.imap.transport import Transport
from gateway.imap.wire import encode, responses
from gateway.imap.wire.capability import Capabilities
from gateway.imap.wire.framer import Framer
from gateway.imap.wire.responses import Continuation, Tagged, Untagged

__all__ = ["Connection", "Credentials", "Endpoint"]

T = TypeVar("T")

TIMEOUT = 60.0
"""Seconds for a command, from being sent to its tagged response, unless the caller says so."""
SILENCE = 30.0
"""Seconds without any octet after which a running command is given up."""
_LOGOUT_SECONDS = 2.0
_TAKES = 8  # times a chunk is tried as bulk rows, which bounds the work on hostile mail


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens. Whether "plain" is acceptable is the configuration's to say."""

    host: str
    port: int
    security: Literal["tls", "starttls", "plain"]


@dataclass(slots=True, eq=False)
class _Running:
    command: Command[Any]
    future: asyncio.Future[Any]


class Connection:
    """A connection to one server for one user. Get one from `Connection.open`, then `login`."""

    def __init__(self, endpoint: Endpoint, *, silence: float = SILENCE) -> None:
        self.endpoint = endpoint
        self.capabilities = Capabilities()
        self.enabled = Capabilities()
        self.server_name: str | None = None
        self.quirks: set[str] = set()
        self.selected: Selected | None = None
        self.on_unsolicited: Callable[[Untagged], None] = _ignore
        self._silence = silence
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._framer = Framer()
        self._running: dict[bytes, _Running] = {}
        self._unsent: deque[tuple[bytes, bytes, bool]] = deque()  # tag, octets, whether to wait
        self._awaited: bytes | None = None  # the tag whose literal the server must ask for
        self._greeting: asyncio.Future[Untagged] = self._loop.create_future()
        self._plain_ends = False  # between the OK to STARTTLS and the end of the handshake
        self._heard = self._loop.time()
        self._bye: str | None = None
        self._lost: ImapError | None = None
        self._transport: Transport

    # --- Life ----------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls,
        endpoint: Endpoint,
        ssl_context: ssl.SSLContext | None,
        deadline: float = 20.0,
        *,
        silence: float = SILENCE,
    ) -> Connection:
        """Connect, negotiate TLS and read the greeting, within `deadline` seconds.

        `ssl_context` verifies the server; it is needed unless the endpoint is plain. Raises
        ConnectionLost (refused, TLS failures, ...), ServerBusy (greeted with BYE), ProtocolError,
        CommandTimeout.
        """
        if (ssl_context is None) != (endpoint.security == "plain"):
            raise ValueError("TLS needs an SSL context, and a plain connection none")
        connection = cls(endpoint, silence=silence)
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
        self._transport = Transport(
            self.endpoint.host, self.endpoint.port, self, implicit, timeout=SILENCE
        )
        await self._transport.wait_hello_from_server()
        greeting = self._greeting.result()
        if greeting.name == "BYE":
            code = greeting.text.code
            raise ServerBusy(code.name if code else None, greeting.text.text)
        if greeting.name != "OK":  # PREAUTH: as whom? And no TLS could follow (RFC 9051 §11.1)
            raise ProtocolError(f"the server greets with {greeting.name}")
        if self.endpoint.security == "starttls":
            assert ssl_context is not None
            await self._start_tls(ssl_context)

    async def _start_tls(self, ssl_context: ssl.SSLContext) -> None:
        """RFC 9051 §6.2.1, §11.1. What was said before TLS is forgotten."""
        try:
            await self.run(StartTls())
        except CommandRefused as refused:
            raise ProtocolError(f"the server refuses STARTTLS: {refused.text}") from refused
        await self._transport.start_tls(ssl_context)
        self._plain_ends = False
        self.capabilities = Capabilities()
        await self.run(Capability())

    async def login(
        self, credentials: Credentials, client_address: str, client_id: str | None = None
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
        return encode.MAX_SET_DOVECOT if self.server_name == "dovecot" else encode.MAX_SET

    async def close(self) -> None:
        """Log out if no command runs, and close."""
        if self._lost is None and not self._lock.locked():
            try:
                await self.run(Logout(), timeout=_LOGOUT_SECONDS)
            except ImapError:
                pass  # the connection ends in any case
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
            await self._settle(running, timeout)
            return [_outcome(each.future) for each in running]

    async def stream(
        self, commands: Iterable[Command[T]], *, window: int = 2, timeout: float = TIMEOUT
    ) -> AsyncIterator[T]:
        """Run many commands, `window` of them at a time, so that the server is never idle.

        Gives the results in order. `timeout` is for each. Raises what `run` raises; leaving the
        iteration early, other than by a refusal, closes the connection.
        """
        source = iter(commands)
        waiting: deque[_Running] = deque()
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
                    result = _outcome(first.future)
                    if isinstance(result, CommandRefused):
                        await self._settle(waiting, timeout)
                        raise result
                    if (command := next(source, None)) is not None:
                        waiting.extend(self._send([command]))
                    yield result
            finally:
                if any(not each.future.done() for each in waiting):
                    self._fail(ConnectionLost("a stream of commands was left"))

    def conclude(self, command: Command[Any]) -> None:
        """Send the conclusion of a command that runs (DONE)."""
        if command.tag in self._running:
            self._transport.write(command.conclusion)

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

    def _send(self, commands: Sequence[Command[Any]]) -> list[_Running]:
        encoded = [command.encode() for command in commands]
        literals = encode.Literals.of(self.capabilities)
        started: list[_Running] = []
        for command, arguments in zip(commands, encoded, strict=True):
            command.tag = self._transport.new_tag()
            running = _Running(command, self._loop.create_future())
            self._running[command.tag] = running
            started.append(running)
            *waits, last = encode.serialise(command.tag, arguments, literals)
            self._unsent.extend((command.tag, octets, True) for octets in waits)
            self._unsent.append((command.tag, last, False))
        self._flush()
        return started

    def _flush(self) -> None:
        """Send all that needs no continuation request first."""
        ready: list[bytes] = []
        while self._unsent and self._awaited is None:
            tag, octets, waits = self._unsent.popleft()
            ready.append(octets)
            self._awaited = tag if waits else None
        if ready:
            self._transport.write(b"".join(ready))

    async def _settle(self, running: Iterable[_Running], timeout: float) -> None:
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
        except BaseException:
            self._fail(ConnectionLost("a command was given up"))
            raise

    # --- Responses -----------------------------------------------------------------------------

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

    def _read(self, chunk: bytes) -> None:
        position = 0
        takes = _TAKES
        fresh = True  # bulk rows are looked for where a run of them may begin
        while position < len(chunk):
            if self._plain_ends:
                raise ProtocolError("octets after the answer to STARTTLS")
            if fresh and takes and not self._framer.pending:
                first = next(iter(self._running.values()), None)
                if first is not None and first.command.bulk:
                    takes -= 1
                    fresh = False
                    chunk = first.command.take(chunk[position:])
                    position = 0
                    continue
            frame, position = self._framer.read(chunk, position)
            if frame is not None and frame.octets:
                self._dispatch(responses.parse(frame))
                fresh = True

    def _dispatch(self, response: Untagged | Tagged | Continuation) -> None:
        if isinstance(response, Tagged):
            self._tagged(response)
        elif isinstance(response, Untagged):
            self._untagged(response)
        elif self._awaited is not None:
            self._awaited = None
            self._flush()
        elif self._running:  # else unasked for: Exchange does that
            first = next(iter(self._running.values()))
            answer = first.command.answer(response.text)
            if answer is not None:
                self._transport.write(answer)

    def _tagged(self, tagged: Tagged) -> None:
        running = self._running.pop(tagged.tag, None)
        if running is None:
            raise ProtocolError(f"a response to no command: {tagged.tag!r}")
        command = running.command
        self._unsent = deque(entry for entry in self._unsent if entry[0] != tagged.tag)
        if self._awaited == tagged.tag:
            self._awaited = None
        code = tagged.text.code
        if code is not None and code.name == "CAPABILITY" and tagged.status == "OK":
            self.capabilities = Capabilities.parse(code.arguments)
        result: Any
        try:
            result = command.finish(tagged)
        except CommandRefused as refused:
            result = refused
        if command.selects:
            self.selected = result if isinstance(result, Selected) else None
        self._plain_ends = isinstance(command, StartTls) and tagged.status == "OK"
        for response in command.unclaimed():
            self.on_unsolicited(response)
        if not running.future.done():
            running.future.set_result(result)
        self._flush()

    def _untagged(self, response: Untagged) -> None:
        if not self._greeting.done():
            if response.name not in responses.STATES:
                raise ProtocolError(f"the server greets with {response.name}")
            code = response.text.code
            if code is not None and code.name == "CAPABILITY":
                self.capabilities = Capabilities.parse(code.arguments)
            self._greeting.set_result(response)
            return
        if response.name == "BYE":
            self._bye = response.text.text
        elif response.name == "CAPABILITY":
            self.capabilities = Capabilities.parse(response.values)
        for running in list(self._running.values()):
            if running.command.collect(response):
                return
        self.on_unsolicited(response)

    def _fail(self, error: ImapError) -> None:
        """End the connection, and everything that waits for it, with the first error there was."""
        if self._lost is None:
            self._lost = error
            self.selected = None
        for future in (self._greeting, *(each.future for each in self._running.values())):
            if not future.done():
                future.set_exception(self._lost)
                future.exception()  # whoever waited may have gone
        self._running.clear()
        self._unsent.clear()
        if hasattr(self, "_transport"):
            self._transport.abort()


def _outcome(future: asyncio.Future[Any]) -> Any:
    """A command's result or CommandRefused; raises what ended the connection."""
    return future.result()


def _ignore(response: Untagged) -> None:
    """Nobody has asked for news."""
