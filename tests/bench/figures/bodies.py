"""RFC 8621 §4.2: 500 Emails with all headers and bodies, against a bare socket reading the same.

Twice: of an account whose caches at the mail server are gone and which the gateway has never seen,
and of one that both know but for these headers and bodies, which neither of them keeps.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.bench.imap_socket import ImapSocket, replay
from tests.bench.mailboxes import PROFILES, available
from tests.bench.proxy import RecordingProxy, Sent
from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import Stage
from tests.mail.client import Client, connected
from tests.servers.dovecot import Dovecot, User

_COUNT = 500
_RUNS = 8
_STRIDE = 1700
_PROFILES = ("list20k", "inbox20k")
_NEWEST_FIRST = [{"property": "receivedAt", "isAscending": False}]
_ARGUMENTS = {
    "properties": ["headers", "bodyStructure", "textBody", "htmlBody", "bodyValues"],
    "fetchAllBodyValues": True,
}
_NEVER = 1e6


async def run(stage: Stage) -> list[Figure]:
    """Measure both in turn; what is read of the first kind has not been read for a while."""
    figures: list[Figure] = []
    for profile in _PROFILES:
        if available(PROFILES[profile]):
            server, user = stage.server(profile), stage.user(profile)
            figures += await _unseen(server, user, profile)
            figures += await _known(server, user, profile)
    return figures


async def _unseen(server: Dovecot, user: User, profile: str) -> list[Figure]:
    """The newest letters; the index, which is made meanwhile, is put off."""
    seconds, bare = [], []
    with patch("gateway.sync.account.INDEX_GRACE_SECONDS", _NEVER):
        with RecordingProxy(server.ports.imap) as proxy:
            async with _client(server, user, proxy.port) as client:
                ids = await _newest(client)
                before = len(proxy.commands)
                await _get(client, ids)
                sent = _reading(proxy.commands[before:])
        for _ in range(_RUNS):
            _forget(server, user)
            async with _client(server, user) as client:
                seconds.append(await _get(client, await _newest(client)))
            _forget(server, user)
            bare.append(_drain(server, user, sent))
    return _figures(f"{_COUNT} Emails with headers and bodies, {profile}, unseen", seconds, bare)


async def _known(server: Dovecot, user: User, profile: str) -> list[Figure]:
    """Other letters each time, of an account that is indexed."""
    seconds, bare, windows = [], [], []
    with RecordingProxy(server.ports.imap) as proxy:
        async with _client(server, user, proxy.port) as client:
            await client.query({"hasAttachment": True})
            for number in range(_RUNS):
                ids = await _newest(client, 100 + _STRIDE * number)
                before = len(proxy.commands)
                await _get(client, ids)
                windows.append((ids, _reading(proxy.commands[before:])))
    async with _client(server, user) as client:
        await client.query({"hasAttachment": True})
        for ids, sent in windows:
            seconds.append(await _get(client, ids))
            bare.append(_drain(server, user, sent))
    return _figures("- known, caches at the mail server warm", seconds, bare)


def _figures(name: str, seconds: list[float], bare: list[float]) -> list[Figure]:
    ratios = [mine / theirs for mine, theirs in zip(seconds, bare, strict=True)]
    return [
        milliseconds(name, seconds),
        milliseconds("-- bare socket, same commands", bare),
        Figure("-- gateway : bare socket", "", ratios, Mark("<=", 2)),
    ]


@asynccontextmanager
async def _client(server: Dovecot, user: User, port: int | None = None) -> AsyncIterator[Client]:
    with tempfile.TemporaryDirectory() as directory:
        async with connected(server, user, Path(directory), port=port) as client:
            yield client


async def _newest(client: Client, position: int = 0) -> list[str]:
    found = await client.call("Mailbox/query", filter={"role": "inbox"})
    arguments: dict[str, Any] = {"position": position, "limit": _COUNT}
    return await client.query({"inMailbox": found["ids"][0]}, _NEWEST_FIRST, **arguments)


async def _get(client: Client, ids: list[str]) -> float:
    """Return the seconds until the answer is there, encoded as it is sent."""
    gc.collect()
    gc.freeze()
    started = time.perf_counter()
    answer = await client.encoded(("Email/get", {"ids": ids, **_ARGUMENTS}))
    seconds = time.perf_counter() - started
    gc.unfreeze()
    assert answer.count(b'"bodyStructure":') == _COUNT
    return seconds


def _reading(commands: list[Sent]) -> list[Sent]:
    return [one for one in commands if one.command.startswith((b"EXAMINE", b"UID FETCH"))]


def _drain(server: Dovecot, user: User, sent: list[Sent]) -> float:
    with ImapSocket(server.ports.imap, user) as connection:
        if not sent[0].command.startswith(b"EXAMINE"):
            connection.run(b"EXAMINE INBOX")
        started = time.perf_counter()
        replay((connection, one.command, one.others) for one in sent)
        return time.perf_counter() - started


def _forget(server: Dovecot, user: User) -> None:
    """Remove what Dovecot has noted of messages it has read."""
    for cache in (server.directory / "home" / user.username).rglob("dovecot.index.cache"):
        cache.unlink()
