"""RFC 8621 §4.2: 500 Emails with all headers and bodies, against a bare socket reading the same."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from tests.bench.imap_socket import ImapSocket, replay
from tests.bench.mailboxes import PROFILES, available
from tests.bench.proxy import RecordingProxy, Sent
from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import JmapClient, Stage, gateway, settled_client
from tests.servers.dovecot import User

_COUNT = 500
_RUNS = 8
_STRIDE = 1700
_PROFILES = ("list20k", "inbox20k")
_OTHER_STATE = re.compile(rb"IDLE|NOOP|STATUS|LIST|UNSELECT")


@dataclass(frozen=True, slots=True)
class _Letters:
    """Emails to ask for, and what a gateway that does not know their content sends for them."""

    ids: list[str]
    commands: list[Sent]


async def run(stage: Stage) -> list[Figure]:
    """Measure both in turn, each time for Emails whose content the gateway has not seen yet."""
    figures: list[Figure] = []
    for profile in _PROFILES:
        if available(PROFILES[profile]):
            figures += await _compare(stage, profile)
    return figures


async def _compare(stage: Stage, profile: str) -> list[Figure]:
    port, user = stage.imap_port(profile), stage.user(profile)
    with RecordingProxy(port) as proxy, gateway(proxy.port) as child:
        async with settled_client(child, user) as client:
            letters = [await _recorded(proxy, client, number) for number in range(_RUNS)]
    seconds, bare, octets = [], [], []
    with gateway(port) as child:
        async with settled_client(child, user) as client:
            for each in letters:
                body = _request(client, each.ids)
                started = time.perf_counter()
                answer = await client.post(body)
                seconds.append(time.perf_counter() - started)
                octets.append(float(len(answer)))
                client.responses(answer)
                bare.append(_drain(port, user, each.commands))
    ratios = [mine / theirs for mine, theirs in zip(seconds, bare, strict=True)]
    return [
        milliseconds(f"{_COUNT} Emails, headers and bodies, not cached, {profile}", seconds),
        milliseconds("- bare socket, same commands", bare),
        Figure("- gateway : bare socket", "", ratios, Mark("<=", 2)),
        Figure("- size of the answer", "MB", [size / 1e6 for size in octets]),
    ]


async def _recorded(proxy: RecordingProxy, client: JmapClient, number: int) -> _Letters:
    query = {
        "sort": [{"property": "receivedAt", "isAscending": False}],
        "position": 100 + _STRIDE * number,
        "limit": _COUNT,
    }
    ((_, found, _),) = await client.call(["Email/query", query])
    before = len(proxy.commands)
    answer = await client.post(_request(client, found["ids"]))
    ((_, got, _),) = client.responses(answer)
    assert len(got["list"]) == _COUNT
    sent = proxy.commands[before:]
    return _Letters(found["ids"], [one for one in sent if not _OTHER_STATE.match(one.command)])


def _request(client: JmapClient, ids: list[str]) -> bytes:
    arguments = {
        "ids": ids,
        "properties": ["headers", "bodyStructure", "textBody", "htmlBody", "bodyValues"],
        "fetchAllBodyValues": True,
    }
    return client.request(["Email/get", arguments])


def _drain(port: int, user: User, sent: list[Sent]) -> float:
    with ImapSocket(port, user) as connection:
        connection.run(b"EXAMINE INBOX")
        started = time.perf_counter()
        replay((connection, one.command, one.others) for one in sent)
        return time.perf_counter() - started
