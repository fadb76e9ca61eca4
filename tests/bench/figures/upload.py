"""RFC 8620 §6.1: the largest upload, alone, by several users at once, and by those who are slow."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.report import Figure, Mark
from tests.bench.stage import Gateway, JmapClient, Stage, gateway
from tests.servers.dovecot import Dovecot, User
from tests.servers.process import Child, free_port

_OCTETS = 50_000_000
_RUNS = 5
_USERS = 10
_LOOK_SECONDS = 0.02
_SLOW_OCTETS = 1_000_000  # what a slow client has sent when it pauses
_PAUSE_SECONDS = 2.0
_MB = 1e6


async def run(_stage: Stage) -> list[Figure]:
    """Measure against a server that reads the same octets and forgets them."""
    with Dovecot() as server:
        users = [server.add_user() for _ in range(_USERS)]
        with gateway(server.ports.imap) as child:
            clients = [await _client(child, user) for user in users]
            await child.settled()
            figures = await _alone(child, clients[0])
            figures += await _together(child, clients)
    return figures


class _Client:
    """A user whose uploads go over connections of their own, as they are."""

    def __init__(self, port: int, path: str, authorization: str) -> None:
        self._port = port
        self._head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: {authorization}\r\n"

    async def upload(self, octets: bytes, pause: float = 0.0) -> float:
        """Seconds until the answer is there. Raises RuntimeError for an error."""
        started = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        length = f"Content-Length: {len(octets)}\r\nConnection: close\r\n\r\n"
        writer.write((self._head + length).encode())
        writer.write(octets[:_SLOW_OCTETS])
        await writer.drain()
        await asyncio.sleep(pause)
        writer.write(octets[_SLOW_OCTETS:])
        answer = await reader.readuntil(b"\r\n\r\n")
        if answer.split()[1] != b"201":
            raise RuntimeError(f"the answer is {answer!r}")
        writer.close()
        return time.perf_counter() - started


async def _client(child: Gateway, user: User) -> _Client:
    async with JmapClient(child.url, user) as client:
        await client.session()
        login = b64encode(f"{user.username}:{user.password}".encode()).decode()
        port = int(child.url.rpartition(":")[2])
        return _Client(port, f"/jmap/upload/{client.account}", f"Basic {login}")


async def _alone(child: Gateway, client: _Client) -> list[Figure]:
    """Both servers take turns, so that both meet the same noise."""
    octets = Random(8620).randbytes(_OCTETS)
    bare: list[float] = []
    through: list[float] = []
    growth: list[float] = []
    with _sink() as port:
        plain = _Client(port, "/", "none")
        await client.upload(octets)
        for _ in range(_RUNS):
            bare.append(await plain.upload(octets))
            idle = child.resident()
            uploading = asyncio.create_task(client.upload(octets))
            growth.append((await _peak(child, uploading) - idle) / _MB)
            through.append(await uploading)
    shares = [b / t for b, t in zip(bare, through, strict=True)]
    return [
        Figure("50 MB upload, kept in SQLite", "MB/s", [_OCTETS / s / _MB for s in through]),
        Figure("- of aiohttp's that reads and forgets", "", shares),
        Figure("- memory while it is taken in", "MB", growth, Mark("<=", 8)),
    ]


async def _together(child: Gateway, clients: list[_Client]) -> list[Figure]:
    octets = Random(8620).randbytes(_OCTETS // 5)
    idle = child.resident()

    async def peak(pause: float) -> float:
        uploading = asyncio.gather(*(client.upload(octets, pause) for client in clients))
        most = await _peak(child, uploading)
        await uploading
        return (most - idle) / len(clients) / _MB

    each, slow = await peak(0.0), await peak(_PAUSE_SECONDS)
    return [
        Figure(f"{len(clients)} uploads at once: memory for each", "MB", [each], Mark("<=", 4)),
        Figure("- of clients that pause", "MB", [slow], Mark("<=", 4)),
    ]


async def _peak(child: Gateway, uploading: asyncio.Future[Any]) -> int:
    """How many octets of memory the process has at most until that is done."""
    most = child.resident()
    while not uploading.done():
        await asyncio.wait((uploading,), timeout=_LOOK_SECONDS)
        most = max(most, child.resident())
    return most


@contextmanager
def _sink() -> Iterator[int]:
    """Run the other server; gives its port."""
    port = free_port()
    with TemporaryDirectory() as directory:
        child = Child(
            [sys.executable, "-m", "tests.bench.sink", str(port)], Path(directory) / "log"
        )
        try:
            child.wait_until(lambda: _listens(port))
            yield port
        finally:
            child.stop()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
