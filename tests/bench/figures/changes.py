"""RFC 8620 §5.2: Email/changes after one change, in an account of 100,000 messages."""

from __future__ import annotations

import asyncio
import time

from tests.bench.imap_socket import ImapSocket
from tests.bench.report import Figure, milliseconds
from tests.bench.stage import CORE, JmapClient, Stage, gateway, settled_client

_RUNS = 40
_ASKED = 5  # times, of each change
_SEEN_SECONDS = 10.0
_POLL_SECONDS = 0.05


async def run(stage: Stage) -> list[Figure]:
    """Change a flag, have it seen, and ask what changed; an echo shows what HTTP takes of that."""
    port, user = stage.imap_port("inbox100k"), stage.user("inbox100k")
    changes: list[float] = []
    echoes: list[float] = []
    seen: list[float] = []
    with gateway(port) as child, ImapSocket(port, user) as connection:
        connection.run(b"SELECT INBOX")
        async with settled_client(child, user) as client:
            state = await email_state(client)
            for number in range(_RUNS):
                connection.run(b"UID STORE %d +FLAGS.SILENT ($changed)" % (500 + number))
                started = time.perf_counter()
                state, before = await changed_state(client, state), state
                seen.append(time.perf_counter() - started)
                body = client.request(["Email/changes", {"sinceState": before}])
                (_, told, _), *_ = client.responses(await client.post(body))
                assert len(told["updated"]) == 1, told
                for _ in range(_ASKED):
                    changes.append(await client.timed(body))
                    echoes.append(await client.timed(_echo(client)))
    ratios = [c / e for c, e in zip(changes, echoes, strict=True)]
    return [
        milliseconds("Email/changes after one change, 100k, warm", changes, 3),
        milliseconds("- Core/echo by the same client", echoes),
        Figure("- Email/changes : Core/echo", "", ratios),
        milliseconds("- until the state has moved, by asking for it", seen),
    ]


def _echo(client: JmapClient) -> bytes:
    # The account, which every request of `client` has, may be echoed too.
    return client.request(["Core/echo", {"using": CORE}])


async def email_state(client: JmapClient) -> str:
    """Return the state of the Email type."""
    (_, got, _), *_ = await client.call(["Email/get", {"ids": []}])
    state: str = got["state"]
    return state


async def changed_state(client: JmapClient, known: str) -> str:
    """Return the state of the Email type once it is another one.

    Raises:
        RuntimeError: it does not change.
    """
    deadline = time.monotonic() + _SEEN_SECONDS
    while (state := await email_state(client)) == known:
        if time.monotonic() > deadline:
            raise RuntimeError("the gateway does not see a change")
        await asyncio.sleep(_POLL_SECONDS)
    return state
