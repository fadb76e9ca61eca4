"""RFC 8621: the inbox of 100,000 messages opened again and again, in one request."""

from __future__ import annotations

import asyncio

from tests.bench.proxy import RecordingProxy
from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import Stage, gateway, inbox_request, settled_client

_WARM_UP = 30
_RUNS = 300
_PAUSED_RUNS = 15
_PAUSE_SECONDS = 1.2


async def run(stage: Stage) -> list[Figure]:
    """Measure the request at the client, and count what Dovecot was asked meanwhile."""
    user = stage.user("inbox100k")
    with (
        RecordingProxy(stage.imap_port("inbox100k")) as proxy,
        gateway(proxy.port) as child,
    ):
        async with settled_client(child, user) as client:
            body = inbox_request(client, await client.inbox())
            for _ in range(_WARM_UP):
                answer = await client.post(body)
            assert len(client.responses(answer)[2][1]["list"]) == 50
            seconds, commands = [], []
            for _ in range(_RUNS):
                before = len(proxy.commands)
                seconds.append(await client.timed(body))
                commands.append(len(proxy.commands) - before)
            paused, asked = [], []
            for _ in range(_PAUSED_RUNS):
                await asyncio.sleep(_PAUSE_SECONDS)
                before = len(proxy.commands)
                paused.append(await client.timed(body))
                asked.append(len(proxy.commands) - before)
    share = sum(map(bool, commands)) / len(commands)
    note = f"{share:.0%} of the requests asked Dovecot something"
    return [
        milliseconds("open inbox, 100k, warm", seconds, 4),
        Figure("- IMAP commands in a request", "", commands, Mark("=", 0), (note,)),
        milliseconds(f"- after {_PAUSE_SECONDS} s of silence", paused),
        Figure("- IMAP commands in such a request", "", asked),
    ]
