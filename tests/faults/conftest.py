"""Servers with and without what makes writing safe, and gateways that come back at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from gateway.imap import pool
from gateway.mail import email_import
from gateway.mail.blob import Blob
from gateway.sync import appending, checker, copying
from gateway.sync.account import Account
from tests.faults.mailboxes import octets_of
from tests.faults.scenes import Blobs
from tests.mail.test_email_import import Octets
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_config import Options

SERVERS = {
    "everything": Options(),
    "no-move": Options(without=("MOVE",)),
    "no-uidplus": Options(without=("UIDPLUS",)),
    "no-condstore": Options(without=("QRESYNC", "CONDSTORE")),
    "no-guids": Options(extra="imap_id_send = name other"),
    "little": Options(
        without=("MOVE", "UIDPLUS", "QRESYNC", "CONDSTORE", "LITERAL+"),
        extra="imap_id_send = name other",
    ),
}


@pytest.fixture(scope="session")
def server_named() -> Iterator[Callable[[str], Dovecot]]:
    """Give a function for the server of each name, started when it is first needed."""
    started: dict[str, Dovecot] = {}
    with ExitStack() as servers:

        def named(name: str) -> Dovecot:
            if name not in started:
                started[name] = servers.enter_context(Dovecot(SERVERS[name]))
            return started[name]

        yield named


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trusted for a while, and a server that was away is asked again at once."""
    monkeypatch.setattr("gateway.sync.trust.MAX_TRUST_SECONDS", 0.0)
    monkeypatch.setattr("gateway.sync.trust.VOUCHED_SECONDS", 0.0)
    monkeypatch.setattr(checker, "PLAIN_FLAGS_SECONDS", -1.0)
    monkeypatch.setattr(pool, "_BACKOFF_FIRST", 0.01)
    monkeypatch.setattr(pool, "_BACKOFF_LAST", 0.05)
    monkeypatch.setattr(appending, "_LOOKS", (0.0, 0.05))
    monkeypatch.setattr(copying, "_LOOKS", (0.0, 0.05))
    # A mailbox is renumbered as often as a write has commands.
    monkeypatch.setattr("gateway.sync.quarantine.MOST", 1000)


@pytest.fixture
def blobs(monkeypatch: pytest.MonkeyPatch) -> Blobs:
    """Give a function that makes a letter a blob of all accounts."""
    known: dict[str, Blob] = {}

    async def open_blob(_account: Account, blob_id: str) -> Blob | None:
        return known.get(blob_id)

    def blob_of(number: int) -> str:
        known[f"uLetter{number}"] = Octets(octets_of(number))
        return f"uLetter{number}"

    monkeypatch.setattr(email_import, "open_blob", open_blob)
    return blob_of
