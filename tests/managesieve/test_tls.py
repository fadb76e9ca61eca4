"""RFC 5804 §2.2, §2.2.1: TLS is verified, and nothing said before it counts after it."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
import uvloop

from gateway.config.values import Security
from gateway.managesieve import scripts
from gateway.managesieve.connection import Connection
from gateway.managesieve.errors import ConnectionLost, ProtocolError, SieveError
from tests.managesieve.peers import GREETING, JO, accept, logged_in, sent, url
from tests.servers.scripted import Peer, Script, Scripted

BEFORE = b'"SIEVE" "x-before"\r\n"SASL" "PLAIN"\r\n"STARTTLS"\r\nOK\r\n'


def _upgrading(context: ssl.SSLContext) -> Script:
    async def script(peer: Peer) -> None:
        await peer.send_raw(BEFORE)
        await peer.command()
        await peer.send(b"OK")
        await peer.start_tls(context)
        await accept(peer)
        for _ in range(2):
            await peer.command()
            await peer.send(b"OK")

    return script


async def _use(server: Scripted, context: ssl.SSLContext, security: Security) -> None:
    connection = await logged_in(server, JO, context, security)
    assert "x-before" not in connection.capabilities.extensions
    await scripts.noop(connection)
    await connection.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_starttls(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, loop: Any
) -> None:
    async def main() -> None:
        async with Scripted(_upgrading(server_context)) as server:
            await _use(server, client_context, "starttls")
            verbs = [line.split(b" ")[0] for line in sent(server)]
            assert verbs[:4] == [b"STARTTLS", b"AUTHENTICATE", b"CAPABILITY", b"NOOP"]

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_implicit_tls(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, loop: Any
) -> None:
    async def script(peer: Peer) -> None:
        await accept(peer)
        for _ in range(2):
            await peer.command()
            await peer.send(b"OK")

    async def main() -> None:
        async with Scripted(script, server_context) as server:
            await _use(server, client_context, "tls")

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


@pytest.mark.threat("R24")
@pytest.mark.parametrize(
    "answer",
    [
        b"OK\r\n" + GREETING,
        b"OK\r\nOK\r\n",
        b'OK\r\n"',
        b"OK\r\n\r\n",
        b"OK\r\nx",
        b'"SIEVE" "x"\r\nNO "no TLS today"\r\n',
        b"BYE (REFERRAL sieve://evil.test)\r\n",
    ],
)
async def test_no_credentials_are_sent_to_a_man_in_the_middle(
    answer: bytes, client_context: ssl.SSLContext
) -> None:
    async def script(peer: Peer) -> None:
        await peer.send_raw(BEFORE)
        await peer.command()
        await peer.send_raw(answer)
        await peer.gone()

    async with Scripted(script) as server:
        with pytest.raises((ProtocolError, ConnectionLost)):
            await logged_in(server, JO, client_context, "starttls")
        assert sent(server) == [b"STARTTLS"]


@pytest.mark.threat("R25")
async def test_an_unknown_authority_is_refused(server_context: ssl.SSLContext) -> None:
    strange = ssl.create_default_context()
    async with Scripted(accept, server_context) as server:
        with pytest.raises(ConnectionLost, match="CERTIFICATE_VERIFY_FAILED"):
            await Connection.open(url(server.port, "tls"), strange)
        assert server.received == []
    async with Scripted(_upgrading(server_context)) as server:
        with pytest.raises(ConnectionLost):
            await Connection.open(url(server.port, "starttls"), strange)
        assert sent(server) == [b"STARTTLS"]


@pytest.mark.threat("R25")
async def test_a_certificate_for_another_host_is_refused(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    async with Scripted(accept, server_context) as server:
        with pytest.raises(ConnectionLost):
            await Connection.open(url(server.port, "tls", "127.0.0.2"), client_context)
        assert server.received == []


async def test_a_server_that_speaks_no_tls_is_refused(client_context: ssl.SSLContext) -> None:
    async with Scripted(accept) as server:
        with pytest.raises(SieveError):
            await Connection.open(url(server.port, "tls"), client_context)


async def test_what_is_not_to_be_verified_is_not_opened(client_context: ssl.SSLContext) -> None:
    with pytest.raises(ValueError, match="SSL context"):
        await Connection.open(url(1, "tls"), None)
    with pytest.raises(ValueError, match="SSL context"):
        await Connection.open(url(1, "plain"), client_context)
