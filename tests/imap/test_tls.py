"""RFC 9051 §6.2.1, §11.1, RFC 8314: TLS is verified, and nothing said before it counts after it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from gateway.imap.commands.noop import Noop
from gateway.imap.connection import Connection, Credentials, Endpoint
from gateway.imap.errors import ConnectionLost, ImapError, ProtocolError
from tests.servers.certificates import Certificates
from tests.servers.scripted import Peer, Script, Scripted


@pytest.fixture
def server_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


@pytest.fixture
def client_context(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.authority))


async def _log_in_over(
    server: Scripted, context: ssl.SSLContext, security: Any, host: str = "localhost"
) -> Connection:
    connection = await Connection.open(Endpoint(host, server.port, security), context, 10)
    await connection.login(Credentials("u", "secret"), "192.0.2.1")
    return connection


def _upgrading(server_context: ssl.SSLContext) -> Script:
    async def script(peer: Peer) -> None:
        await peer.greet(b"IMAP4rev1 STARTTLS LOGINDISABLED X-BEFORE")
        await peer.ok(await peer.command())
        await peer.start_tls(server_context)
        await peer.ok(await peer.command(), b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN")
        await peer.ok(await peer.command(), code=b"[CAPABILITY IMAP4rev1] ")
        await peer.obey()

    return script


async def test_starttls(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    async with Scripted(_upgrading(server_context)) as server:
        connection = await _log_in_over(server, client_context, "starttls")
        await connection.run(Noop())
        verbs = [each.verb for each in server.received]
        assert verbs == [b"STARTTLS", b"CAPABILITY", b"AUTHENTICATE", b"NOOP"]
        assert "X-BEFORE" not in connection.capabilities
        await connection.close()


def test_starttls_under_uvloop(
    server_context: ssl.SSLContext,
    client_context: ssl.SSLContext,
    uvloop_run: Callable[[Any], Any],
) -> None:
    async def main() -> None:
        async with Scripted(_upgrading(server_context)) as server:
            connection = await _log_in_over(server, client_context, "starttls")
            await connection.run(Noop())
            await connection.close()

    uvloop_run(main())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_implicit_tls(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, host: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept_login()
        await peer.obey()

    async with Scripted(script, server_context) as server:
        connection = await _log_in_over(server, client_context, "tls", host)
        await connection.close()


# What a man in the middle says before TLS, and the client then must not log in.
_ATTACKS: dict[str, tuple[bytes, ...]] = {
    "a response with the answer": (b"* OK ready\r\n", b"{tag} OK go\r\n* CAPABILITY X\r\n"),
    "a tagged response with the answer": (b"* OK ready\r\n", b"{tag} OK go\r\ng2 OK done\r\n"),
    "half a response with the answer": (b"* OK ready\r\n", b"{tag} OK go\r\n* "),
    "one octet with the answer": (b"* OK ready\r\n", b"{tag} OK go\r\nx"),
    "an empty line with the answer": (b"* OK ready\r\n", b"{tag} OK go\r\n\r\n"),
    "no TLS after the answer": (b"* OK ready\r\n", b"{tag} OK go\r\n", b"* OK plain\r\n"),
    "a refusal": (b"* OK ready\r\n", b"{tag} NO not now\r\n"),
    "an unknown command": (b"* OK ready\r\n", b"{tag} BAD what\r\n"),
    "already authenticated": (b"* PREAUTH welcome\r\n",),
    "a referral": (b"* BYE [REFERRAL imap://evil/] go there\r\n",),
    "no greeting": (b"g1 OK go\r\n",),
    "an answer before the question": (b"* OK ready\r\ng1 OK go\r\n",),
}


@pytest.mark.threat("R24")
@pytest.mark.parametrize("says", _ATTACKS.values(), ids=_ATTACKS.keys())
async def test_no_credentials_are_sent_to_a_man_in_the_middle(
    says: tuple[bytes, ...], client_context: ssl.SSLContext
) -> None:
    async def script(peer: Peer) -> None:
        greeting, *answers = says
        await peer.send_raw(greeting)
        tag = b""
        for answer in answers:
            if b"{tag}" in answer:
                tag = (await peer.command()).tag
            await peer.send_raw(answer.replace(b"{tag}", tag))
            await asyncio.sleep(0.01)  # so that the octets come apart from those before
        await peer.gone()

    async with Scripted(script) as server:
        with pytest.raises(ImapError):
            await _log_in_over(server, client_context, "starttls")
        assert {each.verb for each in server.received} <= {b"STARTTLS"}


@pytest.mark.threat("R24")
async def test_capabilities_from_before_tls_are_forgotten_even_when_the_server_tells_none(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(b"IMAP4rev1 AUTH=PLAIN X-BEFORE")
        await peer.ok(await peer.command(), b"* CAPABILITY X-BEFORE")
        await peer.start_tls(server_context)
        await peer.obey()

    async with Scripted(script) as server:
        endpoint = Endpoint("localhost", server.port, "starttls")
        connection = await Connection.open(endpoint, client_context, 10)
        assert not connection.capabilities
        await connection.close()


async def _greets(peer: Peer) -> None:
    await peer.greet()
    await peer.gone()


@pytest.mark.threat("R25")
async def test_an_unknown_authority_is_refused(server_context: ssl.SSLContext) -> None:
    async with Scripted(_greets, server_context) as server:
        with pytest.raises(ConnectionLost, match="CERTIFICATE_VERIFY_FAILED"):
            await _log_in_over(server, ssl.create_default_context(), "tls")
        assert server.received == []


@pytest.mark.threat("R25")
async def test_a_certificate_for_another_host_is_refused(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    async with Scripted(_greets, server_context) as server:
        with pytest.raises(ConnectionLost):
            await _log_in_over(server, client_context, "tls", "127.0.0.2")
        assert server.received == []


@pytest.mark.threat("R25")
async def test_an_unknown_authority_is_refused_at_starttls(
    server_context: ssl.SSLContext,
) -> None:
    async with Scripted(_upgrading(server_context)) as server:
        with pytest.raises(ConnectionLost):
            await _log_in_over(server, ssl.create_default_context(), "starttls")
        assert [each.verb for each in server.received] == [b"STARTTLS"]


async def test_a_server_that_speaks_no_tls_is_refused(client_context: ssl.SSLContext) -> None:
    async with Scripted(_greets) as server:
        with pytest.raises((ConnectionLost, ProtocolError)):
            await _log_in_over(server, client_context, "tls")
