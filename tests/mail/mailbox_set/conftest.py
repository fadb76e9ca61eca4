"""Users of servers of all kinds, and their Mailboxes over JMAP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from gateway.store.base import Store
from gateway.store.opening import open_store
from tests.mail.client import connected
from tests.mail.mailbox_set.trees import Tree, servers
from tests.servers.mail_server import MailServer, User


@pytest.fixture(scope="session")
def _named() -> Iterator[Callable[[str], MailServer]]:
    yield from servers()


@pytest.fixture
def server(request: pytest.FixtureRequest, _named: Callable[[str], MailServer]) -> MailServer:
    """Give the server a test names as its parameter, or the usual one."""
    return _named(getattr(request, "param", "dovecot"))


@pytest.fixture
def user(server: MailServer) -> User:
    """Give a user whom no other test knows."""
    return server.add_user()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a store of the test's own."""
    return open_store("memory://", b"x" * 32, tmp_path)


@pytest.fixture
async def tree(server: MailServer, user: User, store: Store, tmp_path: Path) -> AsyncIterator[Tree]:
    """Give the Mailboxes of the user."""
    async with connected(server, user, tmp_path, store) as client:
        yield Tree(client)
