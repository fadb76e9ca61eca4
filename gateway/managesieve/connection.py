"""RFC 5804 §1.1, §2.1, §2.2: one connection to a ManageSieve server: TLS, login, deadlines.

A command that is cancelled or not answered in time ends the connection, so no later command can
read its answer.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar, cast

from gateway.config import SieveUrl
from gateway.managesieve import refusals
from gateway.managesieve.errors import (
    AuthenticationFailed,
    CommandTimeout,
    ConnectionLost,
    ProtocolError,
    SieveError,
)
from gateway.managesieve.wire import encode
from gateway.managesieve.wire.capability import Capabilities, capabilities
from gateway.managesieve.wire.encode import Argument
from gateway.managesieve.wire.framer import Framer
from gateway.managesieve.wire.responses import Completion, completion, is_completion, string
from gateway.managesieve.wire.tokens import Line
from gateway.sasl import AnyCredentials, Mechanism, NotOffered, best

T = TypeVar("T")

CONNECT_SECONDS = 10.0
"""For connecting, TLS and the capabilities together."""
COMMAND_SECONDS = 30.0
"""For a command, from being sent to the end of its response."""
_LOGOUT_SECONDS = 2.0
# Where TLS is there from the start, Pigeonhole (2.3) passes over a command that it reads in one go
# with the end of the handshake, until something else comes.
_HANDSHAKE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Response:
    """The lines of data that a command gave, and how it ended: OK or NO."""

    lines: tuple[Line, ...]
    completion: Completion


class Connection:
    """A connection to one server for one user. Get one from `Connection.open`, then `login`.

    capabilities: as last told; they change with TLS and with the login.
    """

    def __init__(self, server: SieveUrl, *, seconds: float) -> None:
        self.server = server
        self.capabilities = Capabilities()
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._link = _Link()

    # --- Life ----------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls,
        server: SieveUrl,
        ssl_context: ssl.SSLContext | None,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        command_seconds: float = COMMAND_SECONDS,
    ) -> Connection:
        """Connect, negotiate TLS and read the capabilities.

        `ssl_context` verifies the server; it is needed unless the connection is plain, which is
        the configuration's to allow. Raises ConnectionLost (refused, TLS failures, BYE),
        CommandRefused (greeted with NO), ProtocolError, CommandTimeout.
        """
        if (ssl_context is None) != (server.security == "plain"):
            raise ValueError("TLS needs an SSL context, and a plain connection none")
        connection = cls(server, seconds=command_seconds)
        async with connection._deciding("connect", connect_seconds):
            try:
                await connection._open(ssl_context)
            except OSError as error:
                raise ConnectionLost(str(error)) from error
        return connection

    async def _open(self, ssl_context: ssl.SSLContext | None) -> None:
        implicit = ssl_context if self.server.security == "tls" else None
        loop = asyncio.get_running_loop()
        await loop.create_connection(
            lambda: self._link, self.server.host, self.server.port, ssl=implicit
        )
        await self._read_capabilities("connect")
        if self.server.security == "tls":
            await asyncio.sleep(_HANDSHAKE_SECONDS)
        elif self.server.security == "starttls" and ssl_context is not None:
            await self._start_tls(ssl_context)

    async def _start_tls(self, ssl_context: ssl.SSLContext) -> None:
        """RFC 5804 §2.2. What was said before TLS is forgotten."""
        refused = (await self._ask("STARTTLS")).completion
        if refused.status != "OK":
            raise ProtocolError(f"the server refuses STARTTLS: {refused.text}")
        self.capabilities = Capabilities()
        await self._link.start_tls(ssl_context, self.server.host)
        await self._read_capabilities("STARTTLS")

    async def _read_capabilities(self, command: str) -> None:
        """Those that the server tells unasked, when it greets."""
        response = await self._response()
        if response.completion.status != "OK":
            raise refusals.of(command, response.completion)
        self.capabilities = capabilities(response.lines)

    async def login(self, credentials: AnyCredentials) -> None:
        """RFC 5804 §2.1: sign in, and read the capabilities that hold for the user.

        Raises AuthenticationFailed, also without having sent anything if the server has not the
        mechanism; TryLater, and what `run` raises.
        """
        server = self.server
        try:
            mechanism = best(credentials, self.capabilities.sasl, server.host, server.port)
        except NotOffered as error:
            raise AuthenticationFailed("AUTHENTICATE", None, f"{error} here") from None
        try:
            async with self._exclusively("AUTHENTICATE", self._seconds):
                name = encode.string(mechanism.name)
                self._send("AUTHENTICATE", name, encode.sasl(mechanism.initial))
                response = await self._response(mechanism)
        except ConnectionLost as lost:
            if lost.code in refusals.OF_LOGIN:
                raise AuthenticationFailed("AUTHENTICATE", lost.code, lost.text) from lost
            raise
        if response.completion.status != "OK":
            raise refusals.of_login(response.completion)
        await self.refresh()

    async def refresh(self) -> None:
        """RFC 5804 §2.4 CAPABILITY: read the capabilities again. Raises what `run` raises."""
        self.capabilities = await self.run("CAPABILITY", read=lambda r: capabilities(r.lines))

    @property
    def closed(self) -> bool:
        """Whether the connection is of no more use."""
        return self._link.error is not None

    async def close(self) -> None:
        """Log out if no command runs (RFC 5804 §2.3), and close."""
        if not self.closed and not self._lock.locked():
            with suppress(SieveError):  # the connection ends in any case
                async with self._exclusively("LOGOUT", min(_LOGOUT_SECONDS, self._seconds)):
                    await self._ask("LOGOUT")
        self._link.fail(ConnectionLost("closed"))

    # --- Commands ------------------------------------------------------------------------------

    async def run(self, name: str, *arguments: Argument, read: Callable[[Response], T]) -> T:
        """Run one command and give what `read` makes of the response, if that is OK.

        `read` raises ProtocolError for what is no such response. Raises CommandRefused or one of
        its kinds for a NO; ConnectionLost, CommandTimeout and ProtocolError: the connection is
        closed then.
        """
        async with self._exclusively(name, self._seconds):
            response = await self._ask(name, *arguments)
            if response.completion.status == "OK":
                return read(response)
        raise refusals.of(name, response.completion)

    @asynccontextmanager
    async def _exclusively(self, name: str, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                await self._lock.acquire()
        except TimeoutError:  # others take that long; the connection is none the worse for it
            raise CommandTimeout(name, seconds) from None
        try:
            if self._link.error is not None:
                raise self._link.error
            async with self._deciding(name, seconds):
                yield
        finally:
            self._lock.release()

    @asynccontextmanager
    async def _deciding(self, name: str, seconds: float) -> AsyncIterator[None]:
        """Whatever goes wrong inside the block, or takes too long, ends the connection."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            late = CommandTimeout(name, seconds)
            self._link.fail(late)
            raise late from None
        except SieveError as error:
            self._link.fail(error)
            raise
        except BaseException:
            self._link.fail(ConnectionLost(f"{name} was given up"))
            raise

    async def _ask(self, name: str, *arguments: Argument) -> Response:
        self._send(name, *arguments)
        return await self._response()

    def _send(self, name: str, *arguments: Argument) -> None:
        self._link.send(encode.command(name, *arguments))

    async def _response(self, mechanism: Mechanism | None = None) -> Response:
        """Read a response; challenges in it are answered if this is a login."""
        lines: list[Line] = []
        while not is_completion(line := await self._link.line()):
            if mechanism is None:
                lines.append(line)
            else:
                self._link.send(encode.sasl_response(_answer(mechanism, line)))
        self._link.answered()
        return Response(tuple(lines), _unless_bye(completion(line)))


async def probe(
    server: SieveUrl,
    ssl_context: ssl.SSLContext | None,
    *,
    connect_seconds: float = CONNECT_SECONDS,
) -> Capabilities:
    """What a server says it can do before anybody has signed in. Raises what `open` raises."""
    connection = await Connection.open(server, ssl_context, connect_seconds=connect_seconds)
    try:
        return connection.capabilities
    finally:
        await connection.close()


def _answer(mechanism: Mechanism, line: Line) -> Argument:
    try:
        challenge = base64.b64decode(string(line), validate=True)
    except binascii.Error:
        raise ProtocolError("a challenge is not base64") from None
    message = mechanism.answer(challenge)
    return encode.SASL_CANCEL if message is None else encode.sasl(message)


def _unless_bye(ended: Completion) -> Completion:
    """Raises ConnectionLost when a server takes its leave (RFC 5804 §1.2), at any time."""
    if ended.status != "BYE":
        return ended
    code = ended.code
    raise ConnectionLost(
        ended.text or "the server said BYE",
        bye=True,
        code=code.name if code else None,
        referral=code.text if code is not None and code.name == "REFERRAL" else None,
    )


class _Link(asyncio.Protocol):
    """Lines in, octets out. error: why the connection is of no more use, once it is."""

    def __init__(self) -> None:
        self.error: SieveError | None = None
        self._framer = Framer()
        self._lines: deque[Line] = deque()
        self._came = asyncio.Event()
        self._expecting = True  # the greeting
        self._transport: asyncio.Transport | None = None

    @property
    def _opened(self) -> asyncio.Transport:
        return cast("asyncio.Transport", self._transport)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self.error is not None:  # given up meanwhile
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.error is not None:
            return
        try:
            self._lines += self._framer.feed(data)
            if not self._expecting:
                self._check_unasked()
        except SieveError as error:
            self.fail(error)
        self._came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(ConnectionLost(str(exc) if exc else "the server closed the connection"))

    def send(self, octets: bytes) -> None:
        """Send octets, after which a response is expected."""
        if self.error is not None:
            raise self.error
        self._expecting = True
        self._opened.write(octets)

    async def line(self) -> Line:
        """The next line. Raises `error` when there will be none."""
        while not self._lines:
            if self.error is not None:
                raise self.error
            self._came.clear()
            await self._came.wait()
        return self._lines.popleft()

    def answered(self) -> None:
        """A response is complete; nothing more is to come. Raises ProtocolError if something did.

        RFC 5804 §1.2: BYE may, and ends the connection.
        """
        self._expecting = False
        self._check_unasked()

    def _check_unasked(self) -> None:
        if self._lines:
            line = self._lines.popleft()
            if is_completion(line):
                _unless_bye(completion(line))
            raise ProtocolError(f"the server says what nobody asked: {line!r:.80}")

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Negotiate TLS. What came before it in plain text must have been read to its end."""
        if self._framer.pending:
            raise ProtocolError("the server goes on in plain text before TLS")
        self._expecting = True
        loop = asyncio.get_running_loop()
        self._transport = await loop.start_tls(self._opened, self, context, server_hostname=host)

    def fail(self, error: SieveError) -> None:
        """End the connection, for this reason unless there was one before."""
        if self.error is None:
            self.error = error
            self._came.set()
        if self._transport is not None:
            self._transport.abort()
