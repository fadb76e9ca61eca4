"""RFC 8621 §4.6: 1,000 messages moved in one call, against the bare UID MOVE."""

from __future__ import annotations

import asyncio
import time

from tests.bench.figures.marking import oldest
from tests.bench.imap_socket import ImapSocket
from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import JmapClient, Stage, gateway, settled_client

_RUNS = 6
_MESSAGES = 1_000
_FIRST_UIDS = 20_000
_POLL_SECONDS = 0.05


async def run(stage: Stage) -> list[Figure]:
    """Move them over JMAP, and over IMAP: back, and the same way again."""
    port, user = stage.imap_port("inbox20k"), stage.user("inbox20k")
    mine: list[float] = []
    bare: list[float] = []
    with gateway(port) as child, ImapSocket(port, user) as writer:
        writer.run(b"CREATE Aside")
        last = _FIRST_UIDS  # the UID that the inbox gave last
        async with settled_client(child, user) as client:
            ids = await oldest(client, _MESSAGES)
            aside = await _aside(client)
            for _ in range(_RUNS):
                body = client.request(
                    ["Email/set", {"update": {key: {"mailboxIds": {aside: True}} for key in ids}}]
                )
                mine.append(await client.timed(body))
                assert len(await _in(client, aside)) == _MESSAGES
                _move(writer, b"Aside", b"INBOX", b"1:*")
                last += _MESSAGES
                theirs = b"%d:%d" % (last - _MESSAGES + 1, last)
                bare.append(_move(writer, b"INBOX", b"Aside", theirs))
                _move(writer, b"Aside", b"INBOX", b"1:*")
                last += _MESSAGES
                while await _in(client, aside):  # what others do is known half a second later
                    await asyncio.sleep(_POLL_SECONDS)
    ratios = [m / b for m, b in zip(mine, bare, strict=True)]
    return [
        milliseconds(f"{_MESSAGES} messages moved in one call", mine),
        milliseconds("- bare socket, UID MOVE of as many", bare),
        Figure("- gateway : bare socket", "", ratios, Mark("<=", 1.3)),
    ]


async def _aside(client: JmapClient) -> str:
    (_, found, _), *_ = await client.call(["Mailbox/query", {"filter": {"name": "Aside"}}])
    id_: str = found["ids"][0]
    return id_


async def _in(client: JmapClient, mailbox: str) -> list[str]:
    query = {"filter": {"inMailbox": mailbox}, "limit": _MESSAGES + 1}
    (_, found, _), *_ = await client.call(["Email/query", query])
    ids: list[str] = found["ids"]
    return ids


def _move(writer: ImapSocket, source: bytes, target: bytes, uids: bytes) -> float:
    writer.run(b"SELECT %s" % source)
    started = time.perf_counter()
    writer.run(b"UID MOVE %s %s" % (uids, target))
    return time.perf_counter() - started
