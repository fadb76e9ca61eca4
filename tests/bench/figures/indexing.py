"""RFC 9051 §6.4.5: a whole account read by the gateway, against a bare socket reading the same."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.imap.connection import Endpoint
from gateway.sasl import Credentials
from gateway.store import open_store
from gateway.sync.account import Account
from gateway.sync.accounts import Accounts, Settings
from tests.bench.imap_socket import ImapSocket, replay
from tests.bench.mailboxes import PROFILES, available
from tests.bench.proxy import RecordingProxy, Sent
from tests.bench.report import Figure, Mark
from tests.bench.stage import Stage
from tests.servers.dovecot import User

_PAIRS = 7
_POLL_SECONDS = 0.001
_PROFILES = ("inbox100k", "inbox20k", "maildir20k", "folders100k", "list20k")


@dataclass(frozen=True, slots=True)
class _Run:
    """One account read: the seconds until every message was in the index, those of the processor
    until then, the seconds until a query that needs them all goes on, and how many they are.
    """

    seconds: float
    processor: float
    waited: float
    messages: int


async def run(stage: Stage) -> list[Figure]:
    """Measure both in turn: first the one, then the other, so that both share the weather."""
    figures: list[Figure] = []
    for profile in _PROFILES:
        if available(PROFILES[profile]):
            figures += await _compare(stage, profile)
    return figures


async def _compare(stage: Stage, profile: str) -> list[Figure]:
    port, user = stage.imap_port(profile), stage.user(profile)
    with RecordingProxy(port) as proxy:
        messages = (await _index(proxy.port, user)).messages
        sent = _recorded(proxy.commands)
    _drain(port, user, sent)
    mine, bare, waited, processor = [], [], [], []
    for _ in range(_PAIRS):
        one = await _index(port, user)
        mine.append(one.seconds)
        waited.append(one.waited)
        processor.append(1e6 * one.processor / messages)
        bare.append(_drain(port, user, sent))
    ratios = [b / m for m, b in zip(mine, bare, strict=True)]
    return [
        Figure(f"index {profile}: gateway", "msg/s", [messages / s for s in mine]),
        Figure("- bare socket, same commands", "msg/s", [messages / s for s in bare]),
        Figure("- gateway : bare socket", "", ratios, Mark(">=", 0.85)),
        Figure(
            "- gateway, until a query that waits goes on", "msg/s", [messages / s for s in waited]
        ),
        Figure("- processor time of the gateway", "µs/msg", processor),
    ]


@asynccontextmanager
async def new_account(port: int, user: User) -> AsyncIterator[Account]:
    """Give an account that the gateway has looked at, but knows no message of."""
    with tempfile.TemporaryDirectory() as directory:
        store = open_store("memory://", None, Path(directory))
        settings = Settings(Endpoint("127.0.0.1", port, "plain"), None)
        accounts = Accounts(settings, store)
        try:
            account = await accounts.login(Credentials(user.username, user.password), "127.0.0.1")
            await account.fresh()
            yield account
        finally:
            await accounts.close()
            await store.close()


async def _index(port: int, user: User) -> _Run:
    gc.collect()
    async with new_account(port, user) as account:
        started, used = time.perf_counter(), time.process_time()
        waiting = asyncio.create_task(account.indexed())
        # It goes on to look what came meanwhile, while body structures are read.
        while not account.data.complete:
            await asyncio.sleep(_POLL_SECONDS)
        seconds, used = time.perf_counter() - started, time.process_time() - used
        data = await waiting
        waited = time.perf_counter() - started
        return _Run(seconds, used, waited, int(data.emails.visible().sum()))


def _recorded(commands: list[Sent]) -> list[Sent]:
    """Return what was sent for pass 1: the slices, and what had to come before them."""
    bulk = next(sent for sent in commands if sent.is_fetch)
    items = bulk.command.split(b" ", 3)[3]
    slices = [sent for sent in commands if sent.is_fetch and sent.command.endswith(items)]
    used = {sent.connection for sent in slices}
    first = next(n for n, sent in enumerate(commands) if sent.command.startswith(b"EXAMINE"))
    last = commands.index(slices[-1])
    return [
        sent
        for sent in commands[first : last + 1]
        if sent.connection in used and sent.command.startswith((b"EXAMINE", b"UID"))
    ]


def _drain(port: int, user: User, sent: list[Sent]) -> float:
    with ExitStack() as stack:
        connections = {}
        for number in {one.connection for one in sent}:
            connections[number] = stack.enter_context(ImapSocket(port, user))
            connections[number].run(b"ENABLE QRESYNC")
        started = time.perf_counter()
        replay((connections[one.connection], one.command, one.others) for one in sent)
        return time.perf_counter() - started
