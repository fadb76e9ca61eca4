"""RFC 9051: a real server, and somebody in between who answers some of the commands instead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from tests.servers.scripted import Peer, Received, Scripted

Answer: TypeAlias = Callable[[Peer, Received], Awaitable[bool]]


def between(port: int, answer: Answer, *without: bytes) -> Scripted:
    """A server that is the one on `port`, except for commands that `answer` takes (returns True).

    Capabilities named in `without` are left out of what the real one announces.
    """

    async def script(peer: Peer) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
        back = asyncio.create_task(_pass_back(reader, peer, without))
        try:
            while True:
                command = await peer.command()
                if not await answer(peer, command):
                    writer.write(_octets(command))
        finally:
            back.cancel()
            writer.close()

    return Scripted(script)


def _octets(command: Received) -> bytes:
    line = command.tag + (b" " + command.line if command.line else b"")  # DONE has no tag
    for literal in command.literals:
        line = line.replace(b"{}", b"{%d+}\r\n%s" % (len(literal), literal), 1)
    return line + b"\r\n"


async def _pass_back(reader: asyncio.StreamReader, peer: Peer, without: tuple[bytes, ...]) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(1 << 16):
            for name in without:
                chunk = chunk.replace(b" " + name, b"")
            await peer.send_raw(chunk)
    peer.close()
