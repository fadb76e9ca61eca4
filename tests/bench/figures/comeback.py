"""Design §7: a node that knows nothing comes back to 100,000 messages in 50 mailboxes."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.imap.connection import Endpoint
from gateway.jmap import ijson
from gateway.sasl import Credentials
from gateway.store.base import Store
from gateway.store.opening import open_store
from gateway.sync.accounts import Accounts, Settings
from gateway.sync.memory import keep_pages
from tests.bench.imap_socket import ImapSocket
from tests.bench.proxy import RecordingProxy, Sent
from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.stage import Stage
from tests.mail.client import Client
from tests.servers.dovecot import User
from tests.servers.redis import Redis

_PROFILE = "folders100k"
_RUNS = 9
_SECRET = b"comeback" * 4
_LOGIN = (b"CAPABILITY", b"ID ", b"LOGIN ", b"AUTHENTICATE ", b"ENABLE ")


@dataclass(slots=True)
class _Runs:
    """Of each run: seconds of the login, seconds after it, and the commands after the login."""

    login: list[float] = field(default_factory=list)
    answer: list[float] = field(default_factory=list)
    commands: list[list[Sent]] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    def figures(self, store: str) -> list[Figure]:
        """Return the rows of a store."""
        whole = [a + b for a, b in zip(self.login, self.answer, strict=True)]
        ratios = [a / b for a, b in zip(whole, self.bare, strict=True)]
        trips = [sum(not one.others for one in sent) for sent in self.commands]
        shown = " | ".join(one.command.decode()[:60] for one in self.commands[-1])
        return [
            milliseconds(f"back to 100k in 50 mailboxes, {store}: first answer", whole, 50),
            milliseconds("- until logged in, the index loaded", self.login),
            milliseconds("- bare socket: login, same LIST", self.bare),
            Figure("- gateway : bare socket", "", ratios),
            Figure("- round trips after the login", "", trips, Mark("=", 1), (shown,)),
        ]


async def run(stage: Stage) -> list[Figure]:
    """Measure with each store: in one process, as a store in memory is of one process."""
    keep_pages()  # as the gateway does
    port, user = stage.imap_port(_PROFILE), stage.user(_PROFILE)
    figures: list[Figure] = []
    for name in ("memory", "sqlite", "redis"):
        async with _stores(name) as opened:
            figures += (await _measure(port, user, opened)).figures(name)
    return figures


@asynccontextmanager
async def _stores(name: str) -> AsyncIterator[Callable[[], Store]]:
    """Give a function that opens a store, where what was saved before is still there."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        if name == "memory":
            kept = open_store("memory://", _SECRET, path)
            yield lambda: kept
        elif name == "sqlite":
            yield lambda: open_store(f"sqlite://{path}/store.db", _SECRET, path)
        else:
            with Redis() as server:
                yield lambda: open_store(server.url, _SECRET, path)


async def _measure(port: int, user: User, opened: Callable[[], Store]) -> _Runs:
    """Index the account once, and come back to it again and again."""
    runs = _Runs()
    with RecordingProxy(port) as proxy:
        # Through the proxy as well: another port is another server, with accounts of its own.
        state = await _prepare(proxy.port, user, opened())
        for _ in range(_RUNS):
            store = opened()
            await store.ping()
            gc.collect()
            listing = await _come_back(proxy, user, store, state, runs)
            started = time.perf_counter()
            with ImapSocket(proxy.port, user) as connection:
                connection.run(b"ENABLE QRESYNC")
                connection.run(listing)
                runs.bare.append(time.perf_counter() - started)
    return runs


async def _prepare(port: int, user: User, store: Store) -> str:
    accounts = Accounts(Settings(Endpoint("127.0.0.1", port, "plain"), None), store)
    account = await accounts.login(Credentials(user.username, user.password), "127.0.0.1")
    await account.fresh()
    await account.indexed()
    await account.attachments_known()
    got = await Client(account).call("Email/get", ids=[])
    await accounts.close()
    state: str = got["state"]
    return state


async def _come_back(
    proxy: RecordingProxy, user: User, store: Store, state: str, runs: _Runs
) -> bytes:
    """Note a run, and return the LIST that the gateway sent."""
    accounts = Accounts(Settings(Endpoint("127.0.0.1", proxy.port, "plain"), None), store)
    first = len(proxy.commands)
    started = time.perf_counter()
    account = await accounts.login(Credentials(user.username, user.password), "127.0.0.1")
    logged_in = time.perf_counter()
    octets = await Client(account).encoded(
        ("Mailbox/get", {"ids": None}), ("Email/changes", {"sinceState": state})
    )
    answered = time.perf_counter()
    sent = proxy.commands[first:]
    runs.login.append(logged_in - started)
    runs.answer.append(answered - logged_in)
    listed = next(one for one in sent if one.command.startswith(b"LIST"))
    runs.commands.append(
        [
            one
            for one in sent
            if one.connection == listed.connection and not one.command.startswith(_LOGIN)
        ]
    )
    (_, mailboxes, _), (name, told, _) = ijson.decode(octets, max_depth=64)["methodResponses"]
    assert len(mailboxes["list"]) >= 50
    assert name == "Email/changes", told
    assert not told["hasMoreChanges"]
    await accounts.close()
    return listed.command
