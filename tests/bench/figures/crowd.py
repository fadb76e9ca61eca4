"""Design §4: 200 users, unknown until then, with 50 requests at once each."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack

from tests.bench.proxy import RecordingProxy
from tests.bench.report import Figure, Mark
from tests.bench.stage import JmapClient, Stage, gateway, inbox_request
from tests.servers.dovecot import User

_REQUESTS = 50


async def run(stage: Stage) -> list[Figure]:
    """Measure the time in front of Dovecot itself, and count the connections through a proxy."""
    port, users = stage.imap_port("crowd"), stage.users("crowd")
    bodies = await _bodies(port, users)
    seconds, direct = await _volley(port, users, bodies)
    with RecordingProxy(port) as proxy:
        _, proxied = await _volley(proxy.port, users, bodies)
        peaks = [proxy.peaks[user.username.encode()] for user in users]
    outcomes = direct + proxied
    refused = outcomes.total() - outcomes["ok"]
    answers = ", ".join(f"{count} x {outcome}" for outcome, count in outcomes.most_common())
    return [
        Figure(f"{len(users)} new users x {_REQUESTS} requests at once", "s", [seconds]),
        Figure("- not answered as asked, of both times", "", [refused], Mark("=", 0), (answers,)),
        Figure("- most IMAP connections of a user", "", [max(peaks)], Mark("<=", 3)),
    ]


async def _bodies(port: int, users: list[User]) -> list[bytes]:
    """Return a request for each user's inbox, with ids learnt from another gateway."""
    bodies = []
    with gateway(port) as child:
        for user in users:
            async with JmapClient(child.url, user) as client:
                await client.session()
                bodies.append(inbox_request(client, await client.inbox()))
    return bodies


async def _volley(port: int, users: list[User], bodies: list[bytes]) -> tuple[float, Counter[str]]:
    """Return the seconds until all requests were answered, and how often with which outcome."""
    async with AsyncExitStack() as stack:
        child = stack.enter_context(gateway(port))
        clients = [
            await stack.enter_async_context(JmapClient(child.url, user, _REQUESTS))
            for user in users
        ]
        started = time.perf_counter()
        outcomes = await asyncio.gather(
            *(
                client.outcome(body)
                for client, body in zip(clients, bodies, strict=True)
                for _ in range(_REQUESTS)
            )
        )
        return time.perf_counter() - started, Counter(outcomes)
