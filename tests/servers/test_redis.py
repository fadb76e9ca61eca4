"""The Redis that other tests stand on."""

from __future__ import annotations

from redis.asyncio import from_url

from tests.servers.redis import Redis


async def test_server_answers_and_forgets(redis_server: Redis) -> None:
    async with from_url(redis_server.url) as client:
        await client.set("a", "1")
        assert await client.get("a") == b"1"
        redis_server.flush()
        assert await client.get("a") is None


async def test_each_test_begins_with_an_empty_server(redis_server: Redis) -> None:
    async with from_url(redis_server.url) as client:
        assert await client.dbsize() == 0
        await client.set("left behind", "1")
