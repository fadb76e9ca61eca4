"""Design §4: 200 users, unknown until then, with 50 requests at once each."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress

from tests.bench.report import Figure, Mark
from tests.bench.stage import JmapClient, Stage, gateway, inbox_request
from tests.servers.dovecot import Dovecot, User

_REQUESTS = 50
_LOOK_SECONDS = 0.3


async def run(stage: Stage) -> list[Figure]:
    """Measure until the last answer; Dovecot is asked now and then who is connected."""
    server, users = stage.server("crowd"), stage.users("crowd")
    bodies = await _bodies(server.ports.imap, users)
    watching = asyncio.create_task(_most_connections(server))
    seconds, outcomes = await _volley(server.ports.imap, users, bodies)
    watching.cancel()
    refused = outcomes.total() - outcomes["ok"]
    answers = ", ".join(f"{count} x {outcome}" for outcome, count in outcomes.most_common())
    connections = [max(await watching)]
    return [
        Figure(f"{len(users)} new users x {_REQUESTS} requests at once", "s", [seconds]),
        Figure("- not answered as asked", "", [refused], Mark("=", 0), (answers,)),
        Figure("- most IMAP connections of a user", "", connections, Mark("<=", 3)),
    ]


async def _most_connections(server: Dovecot) -> list[int]:
    """Return, once cancelled, the most connections that a user was seen with at each look."""
    most = [0]
    with suppress(asyncio.CancelledError):
        while True:
            listed = await asyncio.to_thread(server.doveadm, "who")
            lines = [line.split() for line in listed.splitlines()[1:]]
            most.append(max((int(line[1]) for line in lines if line), default=0))
            await asyncio.sleep(_LOOK_SECONDS)
    return most


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
