"""RFC 8621: the inbox of 100,000 messages that the gateway has never seen."""

from __future__ import annotations

import time

from tests.bench.report import Figure, milliseconds
from tests.bench.stage import JmapClient, Stage, gateway, inbox_request
from tests.servers.dovecot import User

_RUNS = 5


async def run(stage: Stage) -> list[Figure]:
    """Measure the first answers of new gateways, login included."""
    port, user = stage.imap_port("inbox100k"), stage.user("inbox100k")
    stranger = stage.user("crowd")
    ids = await _identify(port, user)
    alone, with_session = [], []
    for _ in range(_RUNS):
        alone.append(await _first_answer(port, user, stranger, ids, session=False))
        with_session.append(await _first_answer(port, user, stranger, ids, session=True))
    return [
        milliseconds("open inbox, 100k, never seen, with login", alone, 300),
        milliseconds("- session first, then the inbox", with_session),
    ]


async def _identify(port: int, user: User) -> tuple[str, str]:
    """Return the ids of the account and of its inbox: they are the same in every gateway."""
    with gateway(port) as child:
        async with JmapClient(child.url, user) as client:
            await client.session()
            return client.account, await client.inbox()


async def _first_answer(
    port: int, user: User, stranger: User, ids: tuple[str, str], *, session: bool
) -> float:
    with gateway(port) as child:
        # Another user's requests, so that it is not the start of the process that is measured.
        async with JmapClient(child.url, stranger) as client:
            await client.session()
            await client.post(inbox_request(client, await client.inbox()))
        await child.settled()
        async with JmapClient(child.url, user) as client:
            client.account, inbox = ids
            body = inbox_request(client, inbox)
            started = time.perf_counter()
            if session:
                await client.session()
            answer = await client.post(body)
            seconds = time.perf_counter() - started
            assert len(client.responses(answer)[2][1]["list"]) == 50
            return seconds
