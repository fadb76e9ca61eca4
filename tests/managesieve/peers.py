"""RFC 5804: what a scripted server says before it is asked what a test is about."""

from __future__ import annotations

import ssl

from gateway.config import SieveUrl
from gateway.config.values import Security
from gateway.managesieve.connection import COMMAND_SECONDS, Connection
from gateway.sasl import AnyCredentials, Credentials
from tests.servers.scripted import Peer, Script, Scripted

JO = Credentials("jo", "secret")
CAPABILITIES = b'"IMPLEMENTATION" "Test"\r\n"SIEVE" "fileinto"\r\n"VERSION" "1.0"\r\n'
GREETING = CAPABILITIES + b'"SASL" "PLAIN OAUTHBEARER XOAUTH2"\r\nOK\r\n'
OLD = b'"IMPLEMENTATION" "Old"\r\n"SASL" "PLAIN"\r\n"SIEVE" "fileinto"\r\nOK\r\n'
"""The greeting of a server that is older than RFC 5804."""


def url(port: int, security: Security = "plain", host: str = "localhost") -> SieveUrl:
    """Where a server of a test listens."""
    return SieveUrl(host, port, security)


async def accept(peer: Peer, greeting: bytes = GREETING) -> None:
    """Greet, take a login, tell the capabilities again."""
    await peer.send_raw(greeting)
    await peer.command()
    await peer.send(b"OK")
    await peer.command()
    await peer.send_raw(greeting)


def says(*answers: bytes, greeting: bytes = GREETING) -> Script:
    """After the login, answer one command after the other so; then take the client's leave."""

    async def script(peer: Peer) -> None:
        await accept(peer, greeting)
        for answer in answers:
            await peer.command()
            await peer.send_raw(answer)
        await peer.command()
        await peer.send(b"OK")

    return script


async def logged_in(
    server: Scripted,
    credentials: AnyCredentials = JO,
    context: ssl.SSLContext | None = None,
    security: Security = "plain",
    seconds: float = COMMAND_SECONDS,
) -> Connection:
    """A connection of a user who has signed in; commands after that have so many seconds."""
    connection = await Connection.open(url(server.port, security), context)
    await connection.login(credentials)
    connection._seconds = seconds
    return connection


def sent(server: Scripted) -> list[bytes]:
    """The commands that a client sent, with {} for literals."""
    return [b" ".join(filter(None, (each.tag, each.line))) for each in server.received]
