"""RFC 8621 §4.6: 5,000 messages marked read, 500 a call, against the bare UID STORE commands."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.bench.imap_socket import ImapSocket
from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import JmapClient, Stage, gateway, settled_client

_RUNS = 6
_MESSAGES = 5_000
_A_CALL = 500
_POLL_SECONDS = 0.05


async def run(stage: Stage) -> list[Figure]:
    """Mark them over JMAP, take the marks away over IMAP, and both once more the other way."""
    port, user = stage.imap_port("inbox20k"), stage.user("inbox20k")
    mine: list[float] = []
    bare: list[float] = []
    echoes: list[float] = []
    with gateway(port) as child, ImapSocket(port, user) as writer:
        writer.run(b"SELECT INBOX")
        async with settled_client(child, user) as client:
            ids = await oldest(client, _MESSAGES)
            for number in range(_RUNS):
                sign, value = (b"+", True) if number % 2 else (b"-", None)
                other = b"-" if number % 2 else b"+"
                _store(writer, other)
                await _known(client, ids, is_seen=other == b"+")
                mine.append(await _marked(client, ids, {"keywords/$seen": value}))
                _store(writer, other)
                bare.append(_store(writer, sign))
                echoes.append(await _echoed(client, ids))
    ratios = [m / b for m, b in zip(mine, bare, strict=True)]
    return [
        milliseconds(f"{_MESSAGES} messages marked read, {_A_CALL} a call", mine),
        milliseconds("- bare socket, UID STORE of the same sets", bare),
        Figure("- gateway : bare socket", "", ratios, Mark("<=", 1.3)),
        milliseconds("- Core/echo of as much JSON", echoes),
    ]


async def oldest(client: JmapClient, count: int) -> list[str]:
    """Return the ids of the oldest messages of the inbox."""
    query = {
        "filter": {"inMailbox": await client.inbox()},
        "sort": [{"property": "receivedAt", "isAscending": True}],
        "limit": count,
    }
    (_, found, _), *_ = await client.call(["Email/query", query])
    ids: list[str] = found["ids"]
    assert len(ids) == count
    return ids


async def _known(client: JmapClient, ids: list[str], *, is_seen: bool) -> None:
    """Return when the gateway knows what others have done: half a second later, that is."""
    while True:
        wanted = {"ids": [ids[0], ids[-1]], "properties": ["keywords"]}
        (_, got, _), *_ = await client.call(["Email/get", wanted])
        if all(("$seen" in email["keywords"]) == is_seen for email in got["list"]):
            return
        await asyncio.sleep(_POLL_SECONDS)


def _chunks(ids: list[str]) -> list[list[str]]:
    return [ids[start : start + _A_CALL] for start in range(0, len(ids), _A_CALL)]


async def _marked(client: JmapClient, ids: list[str], patch: dict[str, Any]) -> float:
    bodies = [
        client.request(["Email/set", {"update": dict.fromkeys(chunk, patch)}])
        for chunk in _chunks(ids)
    ]
    started = time.perf_counter()
    answers = [await client.post(body) for body in bodies]
    seconds = time.perf_counter() - started
    for answer in answers:
        (_, told, _), *_ = client.responses(answer)
        assert len(told["updated"]) == _A_CALL, told
    return seconds


async def _echoed(client: JmapClient, ids: list[str]) -> float:
    bodies = [
        client.request(["Core/echo", {"update": {key: {"keywords/$seen": True} for key in chunk}}])
        for chunk in _chunks(ids)
    ]
    return sum([await client.timed(body) for body in bodies])


def _store(writer: ImapSocket, sign: bytes) -> float:
    started = time.perf_counter()
    for start in range(1, _MESSAGES, _A_CALL):
        uids = b"%d:%d" % (start, start + _A_CALL - 1)
        writer.run(b"UID STORE %s %sFLAGS.SILENT (\\Seen)" % (uids, sign))
    return time.perf_counter() - started
