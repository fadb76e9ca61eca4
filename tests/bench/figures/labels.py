"""RFC 8621 §4.4: the counts beside the labels of a web mail, 14 queries in one request."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import Any

from tests.bench.imap_socket import ImapSocket
from tests.bench.mailboxes import PROFILES
from tests.bench.report import Figure, milliseconds
from tests.bench.stage import JmapClient, Stage, gateway, settled_client
from tests.bench.vocabulary import LABELS

_WARM_RUNS = 100
_CHANGES = 12
_WARM_UP = 5
_STRIDE = 50
_LABEL = f"$label:{LABELS[0]}"
_NOTICE_SECONDS = 5.0
_LOOK_SECONDS = 0.01


async def run(stage: Stage) -> list[Figure]:
    """Measure an account of one mailbox and one of fifty, both of 100,000 messages."""
    figures: list[Figure] = []
    for profile in ("inbox100k", "folders100k"):
        figures += await _measure(stage, profile)
    return figures


async def _measure(stage: Stage, profile: str) -> list[Figure]:
    port, user = stage.imap_port(profile), stage.user(profile)
    first, noticed = [], []
    with gateway(port) as child, ImapSocket(port, user) as other:
        other.run(b"SELECT INBOX")
        async with settled_client(child, user) as client:
            body = client.request(*(["Email/query", query] for query in _queries()))
            look = client.request(["Email/get", {"ids": []}])
            warm = [await client.timed(body) for _ in range(_WARM_UP + _WARM_RUNS)][_WARM_UP:]
            for uid in _unlabelled(profile):
                for sign in (b"+", b"-"):
                    before = await _total(client, body)
                    other.run(b"UID STORE %d %sFLAGS (%s)" % (uid, sign, _LABEL.encode()))
                    first.append(await _until(client, body, before, 1 if sign == b"+" else -1))
                    state = await _state(client, look)
                    other.run(b"UID STORE %d %sFLAGS (\\Flagged)" % (uid, sign))
                    await _noticed(client, look, state)
                    noticed.append(await client.timed(body))
    return [
        milliseconds(f"14 label counts, {profile}, warm", warm, 12),
        milliseconds("- in the answer that shows another client's change", first, 12),
        milliseconds("- the next one after such a change was noticed", noticed, 12),
    ]


def _unlabelled(profile: str) -> list[int]:
    """Return UIDs of messages of the inbox that have neither of the flags that are changed."""
    source = PROFILES[profile]
    in_inbox = (
        letter
        for letter in source.source(0, source.count)
        if source.mailboxes == 1 or source.mailbox_of(letter) == 0
    )
    changed = {_LABEL, "\\Flagged"}
    uids = (uid for uid, one in enumerate(in_inbox, 1) if changed.isdisjoint(one.message.flags))
    return list(islice(uids, 0, _STRIDE * _CHANGES, _STRIDE))


def _queries() -> list[dict[str, Any]]:
    with_label = [{"hasKeyword": f"$label:{label}"} for label in LABELS]
    unread = [{**one, "notKeyword": "$seen"} for one in with_label]
    return [{"filter": f, "calculateTotal": True, "limit": 0} for f in (*with_label, *unread)]


async def _total(client: JmapClient, body: bytes) -> int:
    """Return how many messages have the label that is changed."""
    total: int = client.responses(await client.post(body))[0][1]["total"]
    return total


async def _until(client: JmapClient, body: bytes, before: int, difference: int) -> float:
    """Return the seconds of the request that first counts the change.

    Raises TimeoutError when none does, RuntimeError when another number is counted.
    """
    async with asyncio.timeout(_NOTICE_SECONDS):
        while True:
            started = time.perf_counter()
            answer = await client.post(body)
            seconds = time.perf_counter() - started
            total = client.responses(answer)[0][1]["total"]
            if total != before:
                if total != before + difference:
                    raise RuntimeError(f"{before} and a change of {difference} make {total}")
                return seconds


async def _state(client: JmapClient, look: bytes) -> str:
    state: str = client.responses(await client.post(look))[0][1]["state"]
    return state


async def _noticed(client: JmapClient, look: bytes, state: str) -> None:
    """Return once the gateway knows of a change. Raises TimeoutError when it learns of none."""
    async with asyncio.timeout(_NOTICE_SECONDS):
        while await _state(client, look) == state:
            await asyncio.sleep(_LOOK_SECONDS)
