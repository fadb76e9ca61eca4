"""aioimaplib 2.0: the private names under our reader are still what they were (Design §4)."""

from __future__ import annotations

import asyncio
import inspect
import logging

import pytest
from aioimaplib import aioimaplib

from gateway.imap.transport import Transport
from tests.servers.scripted import Peer, Scripted


class Ear:
    """Hears everything, and takes the first octets for a greeting."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.greeting = asyncio.Event()
        self.gone: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def received(self, chunk: bytes) -> None:
        self.heard.append(chunk)
        self.greeting.set()

    def lost(self, error: Exception | None) -> None:
        self.gone.set_result(error)

    async def greeted(self) -> None:
        await self.greeting.wait()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (aioimaplib.IMAP4, "create_client"),
        (aioimaplib.IMAP4, "wait_hello_from_server"),
        (aioimaplib.IMAP4ClientProtocol, "data_received"),
        (aioimaplib.IMAP4ClientProtocol, "connection_made"),
        (aioimaplib.IMAP4ClientProtocol, "connection_lost"),
        (aioimaplib.IMAP4ClientProtocol, "execute"),
        (aioimaplib.IMAP4ClientProtocol, "wait"),
    ],
)
def test_what_is_overridden_exists(owner: type, name: str) -> None:
    assert name in vars(owner)


def test_create_client_is_called_as_expected() -> None:
    parameters = list(inspect.signature(aioimaplib.IMAP4.create_client).parameters)
    assert parameters == ["self", "host", "port", "loop", "conn_lost_cb", "ssl_context"]
    assert list(inspect.signature(Transport.create_client).parameters) == parameters


async def test_octets_go_both_ways_and_none_through_aioimaplib() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"* OK hello")
        assert await peer.line() == b"g1 NOOP"
        await peer.send(b"anything")

    async with Scripted(script) as server:
        ear = Ear()
        link = Transport("127.0.0.1", server.port, ear, None, timeout=10)
        await link.wait_hello_from_server()
        link.write(b"g1 NOOP\r\n")
        assert await asyncio.wait_for(ear.gone, 10) is None
        assert b"".join(ear.heard) == b"* OK hello\r\nanything\r\n"


async def test_its_own_commands_are_closed() -> None:
    async with Scripted(lambda peer: peer.send(b"* OK hello")) as server:
        link = Transport("127.0.0.1", server.port, Ear(), None, timeout=10)
        await link.wait_hello_from_server()
        for command in (link.noop(), link.login("u", "p"), link.select("INBOX")):
            with pytest.raises(TypeError):
                await command
        link.abort()


async def test_a_refused_connection_surfaces() -> None:
    async with Scripted(lambda peer: peer.gone()) as server:
        port = server.port
    link = Transport("127.0.0.1", port, Ear(), None, timeout=10)
    with pytest.raises(OSError, match=r"refused|Connect"):
        await link.wait_hello_from_server()
    link.abort()


async def test_a_silent_server_is_not_waited_for_beyond_a_deadline() -> None:
    async with Scripted(lambda peer: peer.gone()) as server:
        link = Transport("127.0.0.1", server.port, Ear(), None, timeout=10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await link.wait_hello_from_server()
        link.abort()


async def test_nothing_received_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """aioimaplib logs all octets at DEBUG."""
    caplog.set_level(logging.DEBUG)  # the root logger; aioimaplib's own level stays
    async with Scripted(lambda peer: peer.send(b"* OK canary")) as server:
        link = Transport("127.0.0.1", server.port, Ear(), None, timeout=10)
        await link.wait_hello_from_server()
        link.write(b"g1 LOGIN u canary\r\n")
        link.abort()
    assert "canary" not in caplog.text
    assert logging.getLogger(aioimaplib.__name__).level == logging.WARNING
