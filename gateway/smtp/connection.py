"""RFC 5321 §3.1, RFC 3207, RFC 4954: a connection, up to where a message can be sent over it.

aiosmtplib connects, greets, negotiates TLS and signs in. Then the link takes its place: it sends
many commands at once (RFC 2920), and a message as it is read.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, TypeGuard, cast

import aiosmtplib

from gateway.config import SmtpUrl
from gateway.sasl import AnyCredentials, Credentials, NotOffered, best
from gateway.smtp.errors import AuthenticationFailed, TlsFailed, Unreachable
from gateway.smtp.offer import Offer, offer
from gateway.smtp.reply import BadReply, Reply, ReplyReader, shown

_HIGH_WATER: Final = 1 << 18
# More replies than commands may be under way are nobody's.
_MAX_WAITING: Final = 1000
# RFC 5321 §3.2, §4.2.4: who says so to EHLO may still know HELO.
_NOT_IMPLEMENTED: Final = frozenset({500, 501, 502, 504})


@dataclass(frozen=True, slots=True)
class Server:
    """How the submission server is reached. Times are in seconds.

    connect: for connecting, TLS and the greeting; command: for the answer to a command; data: for
    the answer to the end of a message, which servers look through before they take it.
    """

    url: SmtpUrl
    ssl_context: ssl.SSLContext | None
    connect_seconds: float = 20.0
    command_seconds: float = 60.0
    data_seconds: float = 300.0


class Link(asyncio.Protocol):
    """A connection over which a message can be sent."""

    def __init__(self, transport: asyncio.Transport, offer: Offer) -> None:
        self.offer = offer
        self._transport = transport
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._failure: Exception | None = None
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        transport.set_write_buffer_limits(_HIGH_WATER)
        transport.set_protocol(self)

    # --- asyncio.Protocol ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take in replies."""
        if self._failure is not None:
            return  # what follows garbage answers nothing
        try:
            for reply in self._reader.feed(data):
                self._replies.append(reply)
            if len(self._replies) > _MAX_WAITING:
                raise BadReply("replies without an end")
        except BadReply as error:
            self._fail(error)
        self._news.set()

    def eof_received(self) -> bool:
        """The server ends the connection."""
        self._fail(EOFError("the server has ended the connection"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """There is no connection any more."""
        self._fail(exc or EOFError("the connection was lost"))

    def pause_writing(self) -> None:
        """The server takes no more for now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The server takes more."""
        self._writable.set()

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._news.set()
        self._writable.set()

    # --- what it is for --------------------------------------------------------------------------

    @property
    def has_news(self) -> bool:
        """Whether there is a reply that nobody has asked for, or nothing will come any more."""
        return bool(self._replies) or self._failure is not None

    async def send(self, octets: bytes, seconds: float) -> None:
        """Hand octets to the connection, as fast as it takes them. Raises Unreachable."""
        if self._failure is not None:
            self._check()
            return  # why it was lost is still to be read
        self._transport.write(octets)
        try:
            async with asyncio.timeout(seconds):
                await self._writable.wait()
        except TimeoutError:
            if not self._replies:  # else it has said why
                raise Unreachable("the server takes nothing any more") from None
        self._check()

    def _check(self) -> None:
        if self._failure is not None and not self._replies:
            raise Unreachable(f"the connection was lost ({self._failure})")

    async def reply(self, seconds: float) -> Reply:
        """The next reply. Raises Unreachable."""
        try:
            async with asyncio.timeout(seconds):
                while not self._replies:
                    self._check()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise Unreachable("the server does not answer") from None
        return self._replies.popleft()

    def quit(self) -> None:
        """Take leave, and wait for nothing."""
        if self._failure is None:
            self._transport.write(b"QUIT\r\n")
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once: what was not sent yet is not sent."""
        self._transport.abort()


@asynccontextmanager
async def connected(server: Server, credentials: AnyCredentials | None) -> AsyncIterator[Link]:
    """A link, signed in with the credentials if there are any, for the block.

    Raises Unreachable, TlsFailed, AuthenticationFailed. What the block raises ends the connection
    at once.
    """
    link = await _open(server, credentials)
    try:
        yield link
    except BaseException:
        link.abort()
        raise
    link.quit()


async def _open(server: Server, credentials: AnyCredentials | None) -> Link:
    client = aiosmtplib.SMTP(
        hostname=server.url.host,
        port=server.url.port,
        use_tls=server.url.security == "tls",
        start_tls=False,
        tls_context=server.ssl_context,
        timeout=server.command_seconds,
        local_hostname="localhost",  # is not said, only not looked up
    )
    try:
        async with asyncio.timeout(server.connect_seconds):
            found = await _greeted(client, server)
        if credentials is not None:
            await _sign_in(client, found, server, credentials)
            # Some, as Dovecot, tell what they can to those alone who have signed in.
            found = await _ehlo(client)
    except BaseException as error:
        client.close()
        failure = _failed(error)
        if failure is error:
            raise
        raise failure from error
    transport = client.transport
    if transport is None:
        raise Unreachable("the connection was lost")
    return Link(cast(asyncio.Transport, transport), found)


def _failed(error: BaseException) -> BaseException:
    """What it means for the message, or the error itself."""
    if isinstance(error, aiosmtplib.SMTPResponseException) and error.code >= 400:
        return Unreachable("the server does not serve", _reply(error.code, error.message))
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return TlsFailed(f"TLS failed ({cause.reason or cause})")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, (aiosmtplib.SMTPException, OSError, TimeoutError)):
        return Unreachable(f"the server can not be reached ({str(error) or type(error).__name__})")
    return error


async def _greeted(client: aiosmtplib.SMTP, server: Server) -> Offer:
    await client.connect()
    found = await _ehlo(client)
    if server.url.security != "starttls":
        return found
    if "STARTTLS" not in found:
        raise TlsFailed("the server does not offer STARTTLS")
    await client.starttls(tls_context=server.ssl_context, server_hostname=server.url.host)
    return await _ehlo(client)


async def _ehlo(client: aiosmtplib.SMTP) -> Offer:
    name = _own_name(client)
    try:
        response = await client.ehlo(hostname=name)
    except aiosmtplib.SMTPHeloError as error:
        if error.code not in _NOT_IMPLEMENTED:
            raise
        await client.helo(hostname=name)
        return Offer()
    return offer(_reply(response.code, response.message).lines)


def _own_name(client: aiosmtplib.SMTP) -> str:
    """RFC 5321 §4.1.3: an address literal. A name would have to be looked up, which may take long.

    It is the address that the server sees, too, unless there is something between.
    """
    if client.transport is None:
        raise Unreachable("the connection was lost")
    address = client.transport.get_extra_info("sockname")[0]
    return f"[IPv6:{address.partition('%')[0]}]" if ":" in address else f"[{address}]"


async def _sign_in(
    client: aiosmtplib.SMTP, found: Offer, server: Server, credentials: AnyCredentials
) -> None:
    """RFC 4954 §4, and LOGIN where the server knows nothing better for a password."""
    try:
        mechanism = best(credentials, found.mechanisms, server.url.host, server.url.port)
    except NotOffered as error:
        if not (_can_say_login(credentials) and "LOGIN" in found.mechanisms):
            raise AuthenticationFailed(str(error)) from None
        steps = [credentials.username.encode(), credentials.password.encode()]
        first = [b"AUTH", b"LOGIN"]
    else:
        steps = [mechanism.initial]
        first = [b"AUTH", mechanism.name.encode()]
    # A first response with the command may be too long for a line (RFC 4954 §4).
    response = await client.execute_command(*first)
    for step in steps:
        if response.code != 334:
            break
        response = await client.execute_command(base64.b64encode(step))
    if response.code == 334:  # it tells why in a challenge (RFC 7628 §3.2.3); the answer is the end
        with suppress(aiosmtplib.SMTPException):
            response = await client.execute_command(b"AQ==")
    if response.code != 235:
        raise AuthenticationFailed("the login was refused", _reply(*response))


def _can_say_login(credentials: AnyCredentials) -> TypeGuard[Credentials]:
    return isinstance(credentials, Credentials) and credentials.master is None


def _reply(code: int, message: str) -> Reply:
    lines = message.encode("utf-8", "surrogateescape").split(b"\n")
    return Reply(code, tuple(shown(line) for line in lines))
