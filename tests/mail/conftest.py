"""What the tests of the mail types share: clients of gateways that were just started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.store.base import Store
from gateway.sync.sieve_access import SieveSettings
from tests.mail.client import Client, connected
from tests.servers.dovecot import Dovecot, User

Connect = Callable[..., Awaitable[Client]]


@pytest.fixture(autouse=True)
def _ask_the_server_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever another program did is seen by the next call, not up to a second later."""
    monkeypatch.setattr("gateway.sync.trust.MAX_TRUST_SECONDS", 0.0)
    monkeypatch.setattr("gateway.sync.trust.VOUCHED_SECONDS", 0.0)


@pytest.fixture
async def connect(tmp_path: Path) -> AsyncIterator[Connect]:
    """Give a function that starts a gateway and logs a user in."""
    async with AsyncExitStack() as stack:

        async def connect(
            server: Dovecot,
            user: User,
            store: Store | None = None,
            sieve: SieveSettings | None = None,
        ) -> Client:
            return await stack.enter_async_context(
                connected(server, user, tmp_path, store, sieve=sieve)
            )

        yield connect


@pytest.fixture
async def client(connect: Connect, dovecot: Dovecot, mailuser: User) -> Client:
    """Give a client of `mailuser`, who has no mail yet."""
    return await connect(dovecot, mailuser)
