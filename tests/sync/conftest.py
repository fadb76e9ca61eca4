"""Gateways to real servers, with and without what makes a server easy to follow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.imap import pool
from gateway.imap.connection import Endpoint
from gateway.sasl import Credentials
from gateway.store.base import Store
from gateway.store.opening import open_store
from gateway.sync import checker
from gateway.sync.account import Account
from gateway.sync.accounts import Accounts, Settings
from tests.servers import cyrus_config
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_config import Options
from tests.servers.mail_server import MailServer, User

LADDER: dict[str, Options | cyrus_config.Options] = {
    "everything": Options(),
    "no-qresync": Options(without=("QRESYNC",)),
    "no-condstore": Options(without=("QRESYNC", "CONDSTORE")),
    "no-list-status": Options(without=("LIST-STATUS",)),
    "no-list-extended": Options(without=("LIST-EXTENDED",)),
    "no-esearch": Options(without=("ESEARCH", "SORT", "SORT=DISPLAY", "ESORT", "CONTEXT=SEARCH")),
    # Only Dovecot has X-GUID, so ids of messages and mailboxes are derived for any other name.
    "no-guids": Options(extra="imap_id_send = name other"),
    "no-move": Options(without=("MOVE",)),
    "no-uidplus": Options(without=("UIDPLUS", "MOVE")),
    "no-preview": Options(without=("PREVIEW", "PREVIEW=FUZZY", "SNIPPET=FUZZY")),
    "maildir": Options(mail_format="maildir"),
    "mdbox": Options(mail_format="mdbox"),
    "cyrus": cyrus_config.Options(),
    "cyrus-no-qresync": cyrus_config.Options(without=("QRESYNC",)),
    "cyrus-no-condstore": cyrus_config.Options(without=("QRESYNC", "CONDSTORE")),
    "cyrus-no-list-status": cyrus_config.Options(without=("LIST-STATUS",)),
    "cyrus-no-objectid": cyrus_config.Options(without=("OBJECTID",)),
    # Neither messages nor mailboxes are named, and all that is derived.
    "cyrus-no-ids": cyrus_config.Options(without=("OBJECTID", "DIGEST=SHA1", "LIST-METADATA")),
}
STEPS = (
    "everything",
    "no-qresync",
    "no-condstore",
    "no-list-status",
    "no-list-extended",
    "no-esearch",
    "no-guids",
    "cyrus",
    "cyrus-no-qresync",
    "cyrus-no-condstore",
    "cyrus-no-ids",
)


def _server(options: Options | cyrus_config.Options) -> MailServer:
    return Dovecot(options) if isinstance(options, Options) else Cyrus(options)


@pytest.fixture(scope="session")
def server_named() -> Iterator[Callable[[str], MailServer]]:
    """Give a function for the server of each name in LADDER, started when it is first needed."""
    started: dict[str, MailServer] = {}
    with ExitStack() as servers:

        def named(name: str) -> MailServer:
            if name not in started:
                started[name] = servers.enter_context(_server(LADDER[name]))
            return started[name]

        yield named


@pytest.fixture
def server(request: pytest.FixtureRequest, server_named: Callable[[str], MailServer]) -> MailServer:
    """Give the server a test names as its parameter, or the one that has everything."""
    return server_named(getattr(request, "param", "everything"))


class Gateways:
    """Gateways that follow one another or run side by side; each has the accounts of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[Accounts] = []

    def store(self) -> Store:
        """An empty store."""
        return open_store("memory://", b"x" * 32, self._directory)

    def start(
        self, server: MailServer, store: Store | None = None, *, connections: int | None = None
    ) -> Accounts:
        """A gateway in front of a server, by default with as many connections as by default."""
        settings = Settings(Endpoint("127.0.0.1", server.imap_port, "plain"), None)
        if connections is not None:
            settings = replace(settings, connections=connections)
        accounts = Accounts(settings, store or self.store())
        self._running.append(accounts)
        return accounts

    async def login(self, server: MailServer, user: User, store: Store | None = None) -> Account:
        """The account of a user in a gateway of its own."""
        accounts = self.start(server, store)
        return await accounts.login(Credentials(user.username, user.password), "127.0.0.1")

    async def close(self) -> None:
        """End all gateways as a node ends that is told to."""
        for accounts in self._running:
            await accounts.close()
        self._running.clear()


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[Gateways]:
    """Give a starter of gateways."""
    made = Gateways(tmp_path)
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def _look_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trusted for a while: each fresh() asks the server."""
    monkeypatch.setattr("gateway.sync.trust.MAX_TRUST_SECONDS", 0.0)
    monkeypatch.setattr("gateway.sync.trust.VOUCHED_SECONDS", 0.0)
    monkeypatch.setattr(checker, "PLAIN_FLAGS_SECONDS", -1.0)


@pytest.fixture(autouse=True)
def _come_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was away is asked again at once: no test waits for its turn."""
    monkeypatch.setattr(pool, "_BACKOFF_FIRST", 0.01)
    monkeypatch.setattr(pool, "_BACKOFF_LAST", 0.05)
