"""What the suites that run over every backend of the store share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.store import Store
from gateway.store.base import Backend
from gateway.store.memory import MemoryBackend
from gateway.store.redis import RedisBackend
from gateway.store.sealed import SealedStore
from gateway.store.sqlite import SqliteBackend
from tests.servers.redis import Redis
from tests.store.values import SECRET


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def connect(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Callable[[], Backend]]:
    """Give a function that connects to one and the same database, as another process would."""
    shared = MemoryBackend()

    def new() -> Backend:
        match request.param:
            case "sqlite":
                return SqliteBackend(tmp_path / "store.db")
            case "redis":
                return RedisBackend(request.getfixturevalue("redis_server").url)
            case _:
                return shared

    async with AsyncExitStack() as stack:

        def connect() -> Backend:
            backend = new()
            stack.push_async_callback(backend.close)
            return backend

        yield connect


@pytest.fixture
def backend(connect: Callable[[], Backend]) -> Backend:
    """Give the raw backend under `store`."""
    return connect()


@pytest.fixture
def store(backend: Backend) -> Store:
    """Give an empty store."""
    return SealedStore(backend, SECRET)


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """Give a server that one test may stop and set up as it likes."""
    with Redis() as server:
        yield server
