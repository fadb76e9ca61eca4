"""RFC 8621 §4.2: one message with its text, which the gateway has not read before."""

from __future__ import annotations

import asyncio

from tests.bench.proxy import RecordingProxy
from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import JmapClient, Stage, gateway, settled_client

_RUNS = 60
_PAUSED_RUNS = 10
_PAUSE_SECONDS = 1.2
_STRIDE = 1009
_PROPERTIES = "id subject from to receivedAt textBody htmlBody attachments bodyValues"


async def run(stage: Stage) -> list[Figure]:
    """Measure the time in front of Dovecot itself, and count round trips through a proxy."""
    port, user = stage.imap_port("inbox100k"), stage.user("inbox100k")
    with gateway(port) as child:
        async with settled_client(child, user) as client:
            seconds = []
            for position in range(_RUNS):
                body = await _request(client, position)
                seconds.append(await client.timed(body))
    with RecordingProxy(port) as proxy, gateway(proxy.port) as child:
        async with settled_client(child, user) as client:
            trips = [await _trips(proxy, client, n, 0) for n in range(_RUNS)]
            later = range(_RUNS, _RUNS + _PAUSED_RUNS)
            paused = [await _trips(proxy, client, n, _PAUSE_SECONDS) for n in later]
    return [
        milliseconds("one message with its text, not cached", seconds),
        Figure("- IMAP round trips", "", trips, Mark("=", 1)),
        Figure(f"- IMAP round trips after {_PAUSE_SECONDS} s of silence", "", paused),
    ]


async def _request(client: JmapClient, number: int) -> bytes:
    """Return a request for a message nobody asked for yet; asking for its id is not measured."""
    newest_first = [{"property": "receivedAt", "isAscending": False}]
    query = {"sort": newest_first, "position": 500 + _STRIDE * number, "limit": 1}
    ((_, found, _),) = await client.call(["Email/query", query])
    arguments = {
        "ids": found["ids"],
        "properties": _PROPERTIES.split(),
        "fetchTextBodyValues": True,
    }
    return client.request(["Email/get", arguments])


async def _trips(proxy: RecordingProxy, client: JmapClient, number: int, pause: float) -> int:
    """Return how often something was sent to Dovecot while it owed no answer."""
    body = await _request(client, number)
    await asyncio.sleep(pause)
    before = len(proxy.commands)
    ((_, got, _),) = client.responses(await client.post(body))
    values = got["list"][0]["bodyValues"]
    assert values
    assert all(value["value"] for value in values.values())
    return sum(not sent.others for sent in proxy.commands[before:])
