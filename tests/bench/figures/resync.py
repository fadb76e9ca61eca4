"""RFC 7162 §3.1.4: 10,000 flags changed at once, against a bare socket that is told the same."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from tests.bench.figures.changes import email_state
from tests.bench.imap_socket import ImapSocket
from tests.bench.proxy import RecordingProxy, Sent
from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import Gateway, JmapClient, Stage, gateway, settled_client
from tests.servers.dovecot import User

_RUNS = 6
_CHANGED = 10_000
_LOOK_SECONDS = 0.002


async def run(stage: Stage) -> list[Figure]:
    """Both sides are told through the proxy, one after the other, and both of the same changes."""
    port, user = stage.imap_port("inbox100k"), stage.user("inbox100k")
    mine: list[float] = []
    bare: list[float] = []
    growth: list[float] = []
    with (
        RecordingProxy(port) as proxy,
        gateway(proxy.port) as child,
        ImapSocket(port, user) as writer,
    ):
        writer.run(b"SELECT INBOX")
        async with settled_client(child, user) as client:
            for number in range(_RUNS):
                state = await email_state(client)
                first, resting = len(proxy.commands), child.resident()
                sign = b"+-"[number % 2 : number % 2 + 1]
                watching = asyncio.create_task(_most_resident(child))
                writer.run(b"UID STORE 20001:%d %sFLAGS.SILENT ($bulk)" % (20_000 + _CHANGED, sign))
                told = await _told(client, state)
                sent = [one for one in proxy.commands[first:] if one.moment < told]
                mine.append(told - _examined(sent).moment)
                watching.cancel()
                growth.append((max(await watching) - resting) / 1e6)
                bare.append(_drain(proxy.port, user, sent))
                await child.settled()
    ratios = [m / b for m, b in zip(mine, bare, strict=True)]
    return [
        milliseconds(f"{_CHANGED} flags of one mailbox, 100k: EXAMINE until told", mine),
        milliseconds("- bare socket, same EXAMINE and FETCH", bare),
        Figure("- gateway : bare socket", "", ratios, Mark("<=", 2)),
        Figure("- growth of the process at its peak", "MB", growth),
    ]


async def _told(client: JmapClient, state: str) -> float:
    """Return the moment at which a client had the first page of the changes; there are all."""
    moment, told = 0.0, 0
    while told < _CHANGED:
        (_, page, _), *_ = await client.call(["Email/changes", {"sinceState": state}])
        state = page["newState"]
        moment = moment or (time.monotonic() if page["updated"] else 0.0)
        told += len(page["updated"])
        assert page["hasMoreChanges"] or told in (0, _CHANGED)
    return moment


def _examined(sent: list[Sent]) -> Sent:
    """Return the EXAMINE before the FETCH of what changed."""
    fetch = next(one for one in sent if b"CHANGEDSINCE" in one.command)
    return next(
        one
        for one in sent
        if one.connection == fetch.connection and one.command.startswith(b"EXAMINE")
    )


async def _most_resident(child: Gateway) -> list[int]:
    """Return, once cancelled, how many octets of memory the process took at each look."""
    looks = [child.resident()]
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            looks.append(child.resident())
    return looks


def _drain(port: int, user: User, sent: list[Sent]) -> float:
    """Run what the gateway ran to be told: an EXAMINE and the FETCH of what changed."""
    commands = [one.command for one in sent if b"CHANGEDSINCE" in one.command]
    with ImapSocket(port, user) as connection:
        connection.run(b"ENABLE QRESYNC")
        started = time.perf_counter()
        connection.run(b"EXAMINE INBOX")
        for command in commands:
            connection.run(command)
        return time.perf_counter() - started
