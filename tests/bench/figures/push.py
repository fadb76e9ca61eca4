"""RFC 8620 §7.3: how soon an open EventSource tells of what another IMAP client does.

A bare socket listens too. Dovecot collects what it tells for half a second: the mark is for what
comes after that.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from statistics import quantiles

import aiohttp

from tests.bench.imap_socket import ImapSocket
from tests.bench.mailboxes import PROFILES, provide
from tests.bench.messages import letters
from tests.bench.report import Figure, milliseconds
from tests.bench.stage import Gateway, Stage, gateway, settled_client
from tests.servers.dovecot import Dovecot, User, quoted
from tests.servers.dovecot_config import Options

_PROFILE = "folders100k"
_OTHER = "Folder 01"
_RUNS = 25
_SEED = 8
_EVENT_SECONDS = 90.0
# Events are spaced; a change is made when the last one is long told.
_PAUSE_SECONDS = (0.6, 1.1)

_NOTIFY = (b"NOTIFY SET (personal (MessageNew MessageExpunge FlagChange))",)
_IDLE = (b"EXAMINE INBOX", b"IDLE")

Change = Callable[[ImapSocket, int], None]


async def run(stage: Stage) -> list[Figure]:
    """Measure with NOTIFY, and with IDLE where there is none, in an account of 100,000 messages."""
    port, user = stage.imap_port(_PROFILE), stage.user(_PROFILE)
    figures = await _measure("NOTIFY", _NOTIFY, port, user, ("INBOX", _OTHER))
    with Dovecot(Options(without=("NOTIFY",))) as server:
        (user,) = provide(server, PROFILES[_PROFILE])
        figures += await _measure("IDLE", _IDLE, server.imap_port, user, ("INBOX",))
    return figures


async def _measure(
    means: str, commands: tuple[bytes, ...], port: int, user: User, mailboxes: tuple[str, ...]
) -> list[Figure]:
    figures: list[Figure] = []
    with gateway(port) as child:
        async with (
            settled_client(child, user),
            _listening(port, user, commands) as heard,
            _events(child, user) as events,
        ):
            for mailbox in mailboxes:
                for name, change in (("a flag", _flag), ("new mail", _append)):
                    mine, bare = await _latencies(port, user, mailbox, change, events, heard)
                    later = [m - b for m, b in zip(mine, bare, strict=True)]
                    title = f"{name} in {mailbox} by {means} to StateChange"
                    figures += [
                        milliseconds(title, mine),
                        milliseconds("- p95", [_p95(mine)]),
                        milliseconds("- bare socket, to the first response", bare),
                        milliseconds("- StateChange after that, p95", [_p95(later)], 100),
                    ]
    return figures


def _p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[18]


def _flag(mailbox: str) -> Change:
    def change(connection: ImapSocket, number: int) -> None:
        connection.run(
            b"UID STORE %d +FLAGS.SILENT ($push%s)" % (50 + number, mailbox.encode()[:1])
        )

    return change


def _append(mailbox: str) -> Change:
    messages = (letter.message for letter in letters(_SEED, _RUNS + 1))

    def change(connection: ImapSocket, _number: int) -> None:
        connection.append(mailbox, [next(messages)])

    return change


async def _latencies(
    port: int,
    user: User,
    mailbox: str,
    make: Callable[[str], Change],
    events: asyncio.Queue[float],
    heard: asyncio.Queue[float],
) -> tuple[list[float], list[float]]:
    """Return the seconds from the command of each change to the event, and to what was heard."""
    change, mine, bare = make(mailbox), [], []
    with ImapSocket(port, user) as connection:
        connection.run(f'SELECT "{mailbox}"'.encode())
        for number in range(_RUNS):
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))
            for earlier in (events, heard):
                while not earlier.empty():
                    earlier.get_nowait()
            started = time.perf_counter()
            await asyncio.to_thread(change, connection, number)
            async with asyncio.timeout(_EVENT_SECONDS):
                mine.append(await events.get() - started)
                bare.append(await heard.get() - started)
    return mine, bare


@asynccontextmanager
async def _listening(
    port: int, user: User, commands: tuple[bytes, ...]
) -> AsyncIterator[asyncio.Queue[float]]:
    """Give the moments at which a bare socket was told something of its own accord."""
    moments: asyncio.Queue[float] = asyncio.Queue()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    login = f"LOGIN {quoted(user.username)} {quoted(user.password)}".encode()
    for command in (login, b"ENABLE QRESYNC", *commands):
        writer.write(b"x " + command + b"\r\n")
        while not (await reader.readline()).startswith((b"x ", b"+ ")):
            pass
    reading = asyncio.create_task(_hear(reader, moments))
    try:
        yield moments
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        writer.close()


async def _hear(reader: asyncio.StreamReader, moments: asyncio.Queue[float]) -> None:
    async for _ in reader:
        moments.put_nowait(time.perf_counter())


@asynccontextmanager
async def _events(child: Gateway, user: User) -> AsyncIterator[asyncio.Queue[float]]:
    """Give the moments at which another state of Email was told of."""
    moments: asyncio.Queue[float] = asyncio.Queue()
    login = b64encode(f"{user.username}:{user.password}".encode()).decode()
    timeout = aiohttp.ClientTimeout(total=None)
    headers = {"Authorization": f"Basic {login}"}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
        url = f"{child.url}/jmap/eventsource?types=*&closeafter=no&ping=0"
        async with http.get(url) as answer:
            answer.raise_for_status()
            reading = asyncio.create_task(_read(answer, moments))
            try:
                yield moments
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


async def _read(answer: aiohttp.ClientResponse, moments: asyncio.Queue[float]) -> None:
    known: dict[str, str] = {}
    async for line in answer.content:
        if not line.startswith(b"data:"):
            continue
        told = json.loads(line.removeprefix(b"data:"))
        for account, states in told.get("changed", {}).items():
            if states.get("Email", known.get(account)) != known.get(account):
                moments.put_nowait(time.perf_counter())
                known[account] = states["Email"]
