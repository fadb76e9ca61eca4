"""Design §12: counts that the nodes share, and that each has for itself while Redis is away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis
from limits import RateLimitItemPerMinute

from gateway.store.windows import Windows
from tests.servers.redis import Redis

SECRET = b"s" * 32
THREE = RateLimitItemPerMinute(3)


@pytest.fixture
def server() -> Iterator[Redis]:
    """Give a Redis of this test alone."""
    with Redis() as server:
        yield server


@pytest.fixture
async def nodes(server: Redis) -> AsyncIterator[list[Windows]]:
    """Give two nodes that share it."""
    nodes = [Windows(server.url, SECRET) for _ in range(2)]
    yield nodes
    for node in nodes:
        await node.close()


async def allowed(node: Windows, *names: str) -> int:
    """How many are, of five."""
    return sum([await node.add(THREE, *names) for _ in range(5)])


async def test_a_node_alone_counts_for_itself() -> None:
    node = Windows(None, SECRET)
    assert await allowed(node, "ann") == 3
    assert await allowed(node, "bob") == 3
    left = await node.left(THREE, "ann")
    assert left.remaining == 0
    assert 50 < left.seconds <= 60


@pytest.mark.threat("R14")
async def test_nodes_count_together(nodes: list[Windows]) -> None:
    first, second = nodes
    assert await first.add(THREE, "user", "ann")
    assert await second.add(THREE, "user", "ann")
    assert [(await node.left(THREE, "user", "ann")).remaining for node in nodes] == [1, 1]
    assert await allowed(second, "user", "ann") == 1
    assert await allowed(first, "user", "ann") == 0
    assert await allowed(first, "user", "bob") == 3


async def test_several_are_counted_at_once_or_not_at_all(nodes: list[Windows]) -> None:
    first, second = nodes
    assert await first.add(THREE, "ann", count=2)
    assert not await second.add(THREE, "ann", count=2)
    assert await second.add(THREE, "ann", count=1)


async def test_while_redis_is_away_each_node_counts_for_itself(
    server: Redis, nodes: list[Windows]
) -> None:
    first, second = nodes
    await first.add(THREE, "ann")
    server.stop()
    assert await allowed(first, "ann") == 2
    assert await allowed(second, "ann") == 3
    assert (await second.left(THREE, "ann")).remaining == 0


@pytest.mark.threat("R11")
async def test_names_are_not_told(server: Redis, nodes: list[Windows]) -> None:
    await nodes[0].add(THREE, "192.0.2.0/24", "ann@example.test")
    with redis.Redis.from_url(server.url) as client:
        told = b" ".join(client.keys())
    assert told
    assert b"ann" not in told
    assert b"192.0.2" not in told


async def test_names_are_told_apart() -> None:
    node = Windows(None, SECRET)
    assert await allowed(node, "ab", "c") == 3
    assert await allowed(node, "a", "bc") == 3
