"""RFC 9749: the key of the server is one, on all nodes and after each restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.push.server_key import ServerKey
from gateway.store import Store, open_store
from gateway.webpush.vapid import Vapid
from tests.servers.push_service import verified
from tests.servers.redis import Redis

SECRET = b"0123456789abcdef0123456789abcdef"
OTHER_SECRET = SECRET[::-1]
CONTACT = "mailto:postmaster@example.test"
URL = "https://push.example.org/x"

Connect = Callable[[bytes], Store]


@pytest.fixture(params=["sqlite", "redis"])
async def connect(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connect]:
    """Give a function that opens one and the same database, as a node with a secret does."""
    url = (
        request.getfixturevalue("redis_server").url
        if request.param == "redis"
        else (tmp_path / "store.db").as_uri().replace("file:", "sqlite:")
    )
    async with AsyncExitStack() as stack:

        def connect(secret: bytes) -> Store:
            store = open_store(url, secret, tmp_path)
            stack.push_async_callback(store.close)
            return store

        yield connect


def node(store: Store, own: Vapid | None = None) -> ServerKey:
    return ServerKey(store.durable, own, CONTACT)


async def test_it_is_the_same_after_a_restart(connect: Connect) -> None:
    before, after = node(connect(SECRET)), node(connect(SECRET))
    assert await before.load()
    assert await after.load()
    assert before.public_key is not None
    assert after.public_key == before.public_key
    assert after.vapid is not None
    claims, key = verified(after.vapid.authorization(URL), "https://push.example.org")
    assert key == before.public_key
    assert claims["sub"] == CONTACT


async def test_nodes_that_start_at_once_agree(connect: Connect) -> None:
    nodes = [node(connect(SECRET)) for _ in range(4)]
    assert all(await asyncio.gather(*(each.load() for each in nodes)))
    assert len({each.public_key for each in nodes}) == 1


async def test_a_key_that_nobody_can_read_any_more_gives_way(connect: Connect) -> None:
    """The store has another secret; and from then on the new key stays."""
    lost, new, again = node(connect(SECRET)), *(node(connect(OTHER_SECRET)) for _ in range(2))
    assert await lost.load()
    assert await new.load()
    assert await again.load()
    assert new.public_key == again.public_key != lost.public_key


async def test_the_operators_key_goes_before(connect: Connect) -> None:
    own = Vapid.generate()
    assert await node(connect(SECRET)).load()
    chosen = node(connect(SECRET), own)
    assert await chosen.load()
    assert chosen.public_key == own.public_key


async def test_nobody_finds_it_in_the_store(tmp_path: Path) -> None:
    """Threat R13."""
    store = open_store(None, SECRET, tmp_path)
    key = node(store)
    assert await key.load()
    assert key.vapid is not None
    await store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert kept
    assert b"PRIVATE KEY" not in kept
    assert key.vapid.pem.splitlines()[1] not in kept


async def test_while_the_store_is_away_it_is_not_known(tmp_path: Path) -> None:
    with Redis() as server:
        store = open_store(server.url, SECRET, tmp_path)
        key = node(store)
        server.stop()
        assert not await key.load()
        assert key.public_key is None
        server.start()
        assert await key.load()
        assert key.vapid is not None
        await store.close()
