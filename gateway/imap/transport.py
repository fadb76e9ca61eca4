"""RFC 9051 §2.1: the link to a server, which is aioimaplib's.

aioimaplib opens the connection, TLS included. Its reader and its commands are replaced: they
recurse for each line, alter what they read and lose answers. The names overridden here are private
to it; tests/imap/test_transport.py holds it to what this module expects.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from aioimaplib import aioimaplib

# It logs every octet it receives, passwords among them.
logging.getLogger(aioimaplib.__name__).setLevel(logging.WARNING)


class Receiver(Protocol):
    """Who is told what arrives."""

    def received(self, chunk: bytes) -> None:
        """Octets came."""

    def lost(self, error: Exception | None) -> None:
        """The link is gone."""

    async def greeted(self) -> None:
        """Wait for the server's greeting."""


class _Link(aioimaplib.IMAP4ClientProtocol):  # type: ignore[misc]
    """Octets in, octets out: no parsing, no commands."""

    def __init__(self, loop: asyncio.AbstractEventLoop, receiver: Receiver) -> None:
        super().__init__(loop)
        self._receiver = receiver
        self.writable = asyncio.Event()
        self.writable.set()

    def data_received(self, d: bytes) -> None:
        self._receiver.received(d)

    def connection_lost(self, exc: Exception | None) -> None:
        self.writable.set()
        self._receiver.lost(exc)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    async def wait(self, state_regexp: str) -> None:
        await self._receiver.greeted()

    async def execute(self, command: Any, scrub: str | None = None) -> NoReturn:
        raise TypeError("commands are run by gateway.imap.connection")


class Transport(aioimaplib.IMAP4):  # type: ignore[misc]
    """One link. Opening it starts at construction; `wait_hello_from_server` ends it."""

    def __init__(
        self,
        host: str,
        port: int,
        receiver: Receiver,
        ssl_context: ssl.SSLContext | None,
        timeout: float,
    ) -> None:
        self._receiver = receiver
        super().__init__(host, port, timeout=timeout, ssl_context=ssl_context)

    def create_client(
        self,
        host: str,
        port: int,
        loop: asyncio.AbstractEventLoop | None,
        conn_lost_cb: Callable[[Exception | None], None] | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Start to connect, with our protocol in place of aioimaplib's."""
        loop = loop or asyncio.get_running_loop()
        self.protocol = _Link(loop, self._receiver)
        connecting = loop.create_connection(lambda: self.protocol, host, port, ssl=ssl_context)
        self._client_task = loop.create_task(connecting)

    async def wait_hello_from_server(self) -> None:
        """Wait for the link and the greeting; the deadline is the caller's.

        aioimaplib's has one, of asyncio.wait_for(), which before Python 3.12 loses a cancellation
        that comes together with the result.
        """
        await self._wait_connection_and_hello()

    def write(self, octets: bytes) -> None:
        """Send octets; nothing happens when the link is gone."""
        self.protocol.transport.write(octets)

    async def drain(self) -> None:
        """Wait until most of what was written has been sent, or the link is gone."""
        await self.protocol.writable.wait()

    def abort(self) -> None:
        """Drop the link at once, and the attempt to make one."""
        self._client_task.cancel()
        if self.protocol.transport is not None:
            self.protocol.transport.abort()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """RFC 9051 §6.2.1: negotiate TLS on the open link."""
        self.protocol.transport = await self.protocol.loop.start_tls(
            self.protocol.transport, self.protocol, context, server_hostname=self.host
        )
