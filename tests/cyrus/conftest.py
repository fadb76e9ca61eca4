"""What the tests of a Cyrus behind the gateway share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.mail.client import Client, connected
from tests.servers.cyrus import Cyrus
from tests.servers.mail_server import User

Connect = Callable[[Cyrus, User], Awaitable[Client]]


@pytest.fixture(autouse=True)
def _ask_the_server_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever another program did is seen by the next call, not up to a second later."""
    monkeypatch.setattr("gateway.sync.trust.MAX_TRUST_SECONDS", 0.0)
    monkeypatch.setattr("gateway.sync.trust.VOUCHED_SECONDS", 0.0)


@pytest.fixture
async def connect(tmp_path: Path) -> AsyncIterator[Connect]:
    """Give a function that starts a gateway and logs a user in."""
    async with AsyncExitStack() as stack:

        async def connect(server: Cyrus, user: User) -> Client:
            return await stack.enter_async_context(connected(server, user, tmp_path))

        yield connect
