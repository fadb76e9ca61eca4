"""RFC 8620 §8.5: how long the worst messages there are keep everybody else waiting."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import Stage
from tests.mail.client import Client, connected
from tests.servers.dovecot import Dovecot

_CORPUS = Path("../shared/corpus/torture")
_AT_ONCE = 500
_SHORTEST = 0.0005
_PROPERTIES = [
    *("threadId", "mailboxIds", "keywords", "headers", "subject", "from", "to", "references"),
    *("hasAttachment", "preview", "bodyStructure", "textBody", "htmlBody", "bodyValues"),
    *("header:To:asGroupedAddresses:all", "header:Received:all"),
]
_PART = ["partId", "blobId", "size", "name", "type", "headers"]


@dataclass(slots=True)
class _Holds:
    """How long the event loop was held, in seconds of the processor, since it was last asked."""

    longest: float = 0.0
    each: list[float] = field(default_factory=list)

    async def watch(self) -> None:
        """Note all the time that passes between two turns of this."""
        while True:
            before = time.thread_time()
            await asyncio.sleep(_SHORTEST)
            self.longest = max(self.longest, time.thread_time() - before)

    def note(self) -> None:
        """Keep the longest hold, and begin anew."""
        self.each.append(self.longest)
        self.longest = 0.0


async def run(_stage: Stage) -> list[Figure]:
    """Read each message in every way, then as many as are read at once; nothing without them."""
    if not _CORPUS.exists():
        return []
    with Dovecot() as server, tempfile.TemporaryDirectory() as directory:
        user = server.add_user()
        for path in sorted(_CORPUS.iterdir()):
            with suppress(RuntimeError):  # Dovecot takes no message of 0 octets
                server.append(user, "INBOX", path.read_bytes())
        async with connected(server, user, Path(directory)) as client:
            return await _measure(client)


async def _measure(client: Client) -> list[Figure]:
    ids = await client.query({"hasAttachment": True}) + await client.query({"hasAttachment": False})
    alone, parse, together = _Holds(), _Holds(), _Holds()
    gc.collect()
    gc.freeze()  # as the gateway does
    seconds: list[float] = []
    for id_ in ids:
        started = time.perf_counter()
        async with _watched(alone):
            await client.call(
                "Email/get",
                ids=[id_],
                properties=_PROPERTIES,
                bodyProperties=_PART,
                fetchAllBodyValues=True,
            )
        seconds.append(time.perf_counter() - started)
        async with _watched(parse):
            await client.call("Email/parse", blobIds=[f"m{id_}"], fetchAllBodyValues=True)
    for start in range(0, len(ids), _AT_ONCE):
        async with _watched(together):
            await client.call(
                "Email/get",
                ids=ids[start : start + _AT_ONCE],
                properties=_PROPERTIES,
                fetchAllBodyValues=True,
            )
    gc.unfreeze()
    return [
        _longest("loop held, Email/get of one message, longest", alone),
        milliseconds("- time of the slowest", [max(seconds)], 500),
        _longest("loop held, Email/parse of one message, longest", parse),
        _longest(f"loop held, Email/get of {_AT_ONCE} messages", together),
    ]


@asynccontextmanager
async def _watched(holds: _Holds) -> AsyncIterator[None]:
    task = asyncio.create_task(holds.watch())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        holds.note()


def _longest(name: str, holds: _Holds) -> Figure:
    """All samples are held to the mark, so that it is their maximum which counts."""
    return Figure(name, "ms", [1000 * max(holds.each)], Mark("<=", 50))
