"""RFC 8621 §4.4.1: words looked for in 100,000 messages by a server without an index of words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

from tests.bench.imap_socket import ImapSocket
from tests.bench.proxy import RecordingProxy
from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import Gateway, JmapClient, Stage, gateway, inbox_request, settled_client
from tests.bench.vocabulary import FAMILY_NAMES, WORDS

_PROFILE = "inbox100k"
# Bodies take the server ten seconds and more, header fields one.
_PAIRS = {"body": 3, "text": 3, "subject": 7, "from": 7}
_REPEATS = 50
_REMEMBERED = 30
_OPENINGS = 200
_PAUSE_SECONDS = 0.02


@dataclass(slots=True)
class _Pairs:
    """Seconds of the same search, by the gateway and by a bare socket."""

    mine: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    def figures(self, name: str) -> list[Figure]:
        ratios = [m / b for m, b in zip(self.mine, self.bare, strict=True)]
        return [
            milliseconds(f"Email/query {{{name}}}, 100k", self.mine),
            milliseconds("- bare socket, one SEARCH", self.bare),
            Figure("- gateway : bare socket", "", ratios, Mark("<=", 1.1)),
        ]


async def run(stage: Stage) -> list[Figure]:
    """Measure each search with words that were not looked for before, in turn with a bare one."""
    port, user = stage.imap_port(_PROFILE), stage.user(_PROFILE)
    async with AsyncExitStack() as stack:
        proxy = stack.enter_context(RecordingProxy(port))
        child = stack.enter_context(gateway(proxy.port))
        client = await stack.enter_async_context(settled_client(child, user))
        connection = stack.enter_context(ImapSocket(port, user))
        neighbour = await stack.enter_async_context(settled_client(child, stage.user("crowd")))
        words = iter(WORDS)
        # Neither side is to pay for reading the disk.
        connection.run(b"EXAMINE INBOX")
        connection.run(b'UID SEARCH TEXT "nowhere"')
        figures: list[Figure] = []
        for name, count in _PAIRS.items():
            names = iter(FAMILY_NAMES) if name == "from" else words
            figures += (await _compare(client, connection, name, names, count)).figures(name)
        figures += await _repeated(client, proxy)
        figures += await _neighbour(client, neighbour, next(words))
        figures += await _memory(client, child, words)
    return figures


def _query(client: JmapClient, name: str, word: str) -> bytes:
    query = {"filter": {name: word}, "limit": 50, "calculateTotal": True}
    return client.request(["Email/query", query])


async def _compare(
    client: JmapClient, connection: ImapSocket, name: str, words: Iterator[str], count: int
) -> _Pairs:
    pairs = _Pairs()
    for _ in range(count):
        word = next(words)
        started = time.perf_counter()
        answer = await client.post(_query(client, name, word))
        pairs.mine.append(time.perf_counter() - started)
        ((_, arguments, _),) = client.responses(answer)
        assert arguments["total"] >= len(arguments["ids"])
        started = time.perf_counter()
        connection.run(b"EXAMINE INBOX")
        connection.run(f'UID SEARCH RETURN (ALL) {name.upper()} "{word}"'.encode())
        pairs.bare.append(time.perf_counter() - started)
    return pairs


async def _repeated(client: JmapClient, proxy: RecordingProxy) -> list[Figure]:
    body = _query(client, "body", WORDS[0])
    seconds, searches = [], []
    for _ in range(_REPEATS):
        before = len(proxy.commands)
        seconds.append(await client.timed(body))
        new = proxy.commands[before:]
        searches.append(sum(sent.command.startswith(b"UID SEARCH") for sent in new))
    return [
        milliseconds("- a body that was searched before", seconds, 10),
        Figure("- SEARCH commands in such a request", "", searches, Mark("=", 0)),
    ]


async def _neighbour(client: JmapClient, neighbour: JmapClient, word: str) -> list[Figure]:
    """Measure another user's inbox, without a search and while one runs."""
    body = inbox_request(neighbour, await neighbour.inbox())
    alone = await _openings(neighbour, body)
    search = asyncio.create_task(client.post(_query(client, "text", word)))
    await asyncio.sleep(_PAUSE_SECONDS)
    beside = await _openings(neighbour, body)
    note = "ended before" if search.done() else "ran on after"
    client.responses(await search)
    return [
        milliseconds("another user's inbox, p99 without a search", [_p99(alone)]),
        milliseconds("- p99 while a search runs", [_p99(beside)], None, f"the search {note} it"),
    ]


async def _openings(client: JmapClient, body: bytes) -> list[float]:
    seconds = []
    for _ in range(_OPENINGS):
        seconds.append(await client.timed(body))
        await asyncio.sleep(_PAUSE_SECONDS)
    return seconds


def _p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98]


async def _memory(client: JmapClient, child: Gateway, words: Iterator[str]) -> list[Figure]:
    before = child.resident()
    for _ in range(_REMEMBERED):
        await client.post(_query(client, "subject", next(words)))
    await child.settled()
    growth: list[Any] = [(child.resident() - before) / _REMEMBERED / 1000]
    return [Figure("memory of the process for each search", "kB", growth)]
