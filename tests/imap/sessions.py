"""RFC 9051 §3: connections to scripted servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.imap.connection import Connection, Endpoint
from tests.servers.scripted import Peer, Received, Script, Scripted

Answers = dict[bytes, list[bytes]]


@asynccontextmanager
async def session(
    capabilities: bytes, script: Script | None = None, answers: Answers | None = None
) -> AsyncIterator[tuple[Connection, list[Received]]]:
    """A connection to a server with these capabilities.

    It follows a script, or answers command lines as `answers` says: untagged lines, then what
    follows the tag; b"{tag}" stands for the tag. What is not in there is BAD.
    """

    async def serve(peer: Peer) -> None:
        await peer.greet(capabilities)
        if script is not None:
            return await script(peer)
        while True:
            command = await peer.command()
            *untagged, tagged = (answers or {}).get(command.line, [b"BAD what?"])
            lines = [line.replace(b"{tag}", command.tag) for line in untagged]
            await peer.send(*lines, command.tag + b" " + tagged)

    async with Scripted(serve) as server:
        connection = await Connection.open(Endpoint("127.0.0.1", server.port, "plain"), None)
        yield connection, server.received
        connection.lost(None)


@asynccontextmanager
async def connected(
    script: Script, *, silence: float = 10.0
) -> AsyncIterator[tuple[Connection, Scripted]]:
    """A connection whose greeting was read, to a server that goes on with the script."""

    async def greet_and_go_on(peer: Peer) -> None:
        await peer.greet()
        await script(peer)

    async with Scripted(greet_and_go_on) as server:
        connection = await Connection.open(plain(server), None, silence=silence)
        try:
            yield connection, server
        finally:
            connection.on_unsolicited = lambda response: None
            connection.lost(None)


def plain(server: Scripted) -> Endpoint:
    return Endpoint("127.0.0.1", server.port, "plain")


def news(connection: Connection) -> list[bytes]:
    heard: list[bytes] = []
    connection.on_unsolicited = lambda response: heard.append(response.frame.octets)
    return heard
