"""Design §7: what is particular to the store in Redis."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from limits import RateLimitItemPerMinute
from redis.asyncio import Redis as Client
from redis.exceptions import NoPermissionError

from gateway.store import StoreError, StoreUnavailable
from gateway.store.keys import owner
from gateway.store.redis import EXPIRY_SECONDS, RedisBackend
from gateway.store.redis_hashes import CONNECTIONS
from gateway.store.sealed import SealedStore
from gateway.store.windows import Windows
from tests.servers.process import free_port
from tests.servers.redis import Redis
from tests.store.values import SECRET

DOCUMENTATION = Path(__file__).parents[2] / "deploy/docs/configuration.md"


@pytest.fixture
async def backend(redis_server: Redis) -> AsyncIterator[RedisBackend]:
    """Give a backend on the shared server."""
    backend = RedisBackend(redis_server.url)
    yield backend
    await backend.close()


@pytest.fixture
async def client(redis_server: Redis) -> AsyncIterator[Client]:
    """Give a plain client of the shared server."""
    async with Client.from_url(redis_server.url) as client:
        yield client


async def test_an_account_is_one_key_with_a_hash_tag_and_no_name_in_it(
    backend: RedisBackend, client: Client
) -> None:
    """R11: an ACL rule `~jmap-gateway:*` confines the gateway."""
    store = SealedStore(backend, SECRET)
    await store.save("alice@example.org", {"index": b"1", "log/1": b"2"})
    name = f"jmap-gateway:{{{owner(SECRET, 'alice@example.org')}}}:cache"
    assert await client.keys("*") == [name.encode()]
    assert b"alice" not in name.encode()


async def test_an_account_expires_only_when_nobody_reads_or_writes_it(
    backend: RedisBackend, client: Client
) -> None:
    await backend.write("owner", {"a": b"1"})
    [name] = await client.keys("*")
    for use in (
        backend.read("owner", ["a"]),
        backend.write("owner", {"b": b"2"}),
        backend.swap("owner", "a", b"1", {"a": b"2"}),
    ):
        await client.expire(name, 10)
        await use
        assert await client.ttl(name) > EXPIRY_SECONDS - 100


async def test_reading_puts_the_expiry_off_once_a_day(
    backend: RedisBackend, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await backend.write("owner", {"a": b"1"})
    await backend.read("owner", ["a"])
    [name] = await client.keys("*")
    await client.expire(name, 10)
    await backend.read("owner", ["a"])
    assert await client.ttl(name) <= 10
    monkeypatch.setattr("gateway.store.redis._DAY_SECONDS", 1e-9)
    await backend.read("owner", ["a"])
    assert await client.ttl(name) > EXPIRY_SECONDS - 100


async def test_a_full_server_is_unavailable_for_writing_and_keeps_what_it_has(
    own_redis: Redis,
) -> None:
    """F6."""
    backend = RedisBackend(own_redis.url)
    await backend.write("owner", {"a": b"old", "b": b"old"})
    async with Client.from_url(own_redis.url) as client:
        await client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            await backend.write("owner", {"a": b"new", "b": None, "c": b"new"})
        assert await backend.read("owner", ["a", "b", "c"]) == {"a": b"old", "b": b"old"}
        await backend.write("owner", {"b": None})
        await client.config_set("maxmemory", "0")
    await backend.write("owner", {"a": b"new"})
    assert await backend.read("owner", ["a", "b"]) == {"a": b"new"}
    await backend.close()


async def test_a_stopped_server_is_unavailable_and_used_again_when_it_is_back(
    own_redis: Redis,
) -> None:
    """F5."""
    backend = RedisBackend(own_redis.url)
    await backend.write("owner", {"a": b"1"})
    own_redis.stop()
    for operation in (
        backend.ping(),
        backend.read("owner", ["a"]),
        backend.write("owner", {"a": b"2"}),
        backend.drop("owner"),
        backend.size("owner"),
    ):
        with pytest.raises(StoreUnavailable):
            await operation
    own_redis.start()
    assert await backend.read("owner", ["a"]) == {}
    await backend.write("owner", {"a": b"3"})
    assert await backend.read("owner", ["a"]) == {"a": b"3"}
    await backend.close()


async def test_a_server_that_came_back_in_between_is_not_noticed(own_redis: Redis) -> None:
    backend = RedisBackend(own_redis.url)
    await backend.ping()
    await asyncio.to_thread(own_redis.stop)
    await asyncio.to_thread(own_redis.start)
    await backend.write("owner", {"a": b"1"})
    assert await backend.read("owner", ["a"]) == {"a": b"1"}
    await backend.close()


async def test_a_server_that_does_not_answer_is_unavailable_within_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F5: paused, or another program that listens there."""
    monkeypatch.setattr("gateway.store.redis_hashes.DEADLINE_SECONDS", 0.05)
    connections: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(
        lambda _reader, writer: connections.append(writer), "127.0.0.1", 0
    )
    backend = RedisBackend(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
    with pytest.raises(StoreUnavailable, match=r"no answer in 0\.05 s"):
        await backend.ping()
    with pytest.raises(StoreUnavailable):
        await backend.write("owner", {"a": b"1"})
    assert connections
    await backend.close()
    for connection in connections:
        connection.close()
    silent.close()


async def test_more_operations_than_connections_wait_for_their_turn(
    backend: RedisBackend, client: Client
) -> None:
    await asyncio.gather(
        *(backend.write(f"owner{number}", {"a": b"1"}) for number in range(CONNECTIONS * 5))
    )
    # The gateway's connections, and that of this client.
    assert len(await client.client_list()) <= CONNECTIONS + 1
    assert await client.dbsize() == CONNECTIONS * 5


async def test_a_refused_password_is_an_error_of_the_configuration(own_redis: Redis) -> None:
    backend = RedisBackend(own_redis.url.replace("//", "//nobody:wrong@"))
    with pytest.raises(StoreError) as caught:
        await backend.ping()
    assert type(caught.value) is StoreError
    assert caught.value.backend == "redis"
    assert "nobody:" not in caught.value.reason
    await backend.close()


async def test_a_user_needs_no_more_than_the_documentation_says(own_redis: Redis) -> None:
    """R11: an ACL confines the gateway to its own keys."""
    rule = re.search(r"^ +ACL SETUSER gateway (.+)$", DOCUMENTATION.read_text(), re.MULTILINE)
    assert rule is not None
    async with Client.from_url(own_redis.url) as client:
        ask: Callable[..., Awaitable[Any]] = client.execute_command
        await ask("ACL", "SETUSER", "gateway", *rule[1].split())
    backend = RedisBackend(own_redis.url.replace("//", "//gateway:PASSWORD@"))
    await backend.ping()
    await backend.write("owner", {"a": b"1", "b": b"2"})
    await backend.write("owner", {"a": b"2", "b": None})
    assert await backend.swap("owner", "a", b"2", {"a": b"3", "b": b"4"})
    assert await backend.swap("owner", "a", b"3", {"a": b"4", "b": None})
    assert await backend.read("owner", ["a", "b"]) == {"a": b"4"}
    assert await backend.size("owner") == 1
    await backend.drop("owner")
    durable = backend.durable
    await durable.write("owner", "b", {"0": b"1"}, 100.0)
    assert await durable.swap("owner", "b", "0", b"1", {"1": b"2"}, 100.0)
    assert await durable.read("owner", "b", ["0", "1"]) == {"0": b"1", "1": b"2"}
    assert await durable.size("owner") == 2
    await durable.drop("owner", ["b"])
    await durable.drop_owner("owner")
    assert not any("INFO" in risk for risk in await durable.risks())
    await backend.close()
    first, second = (
        Windows(own_redis.url.replace("//", "//gateway:PASSWORD@"), b"s" * 32) for _ in range(2)
    )
    await first.add(RateLimitItemPerMinute(2), "ann")
    assert (await second.left(RateLimitItemPerMinute(2), "ann")).remaining == 1
    await first.close()
    await second.close()
    async with Client.from_url(own_redis.url.replace("//", "//gateway:PASSWORD@")) as client:
        with pytest.raises(NoPermissionError):
            await client.hget("other", "a")


async def test_an_account_is_in_one_slot_of_a_cluster() -> None:
    """Design §12: a cluster refuses commands and scripts that reach for keys of several slots."""
    with Redis({"cluster-enabled": "yes", "cluster-port": str(free_port())}) as server:
        async with Client.from_url(server.url) as client, asyncio.timeout(20):
            ask: Callable[..., Awaitable[Any]] = client.execute_command
            await ask("CLUSTER ADDSLOTSRANGE", 0, 16383)
            while (await ask("CLUSTER INFO"))["cluster_state"] != "ok":
                await asyncio.sleep(0.05)
        backend = RedisBackend(server.url)
        await backend.write("owner", {"a": b"1", "b": None})
        assert await backend.swap("owner", "a", b"1", {"a": b"2", "b": b"3", "c": None})
        assert await backend.read("owner", ["a", "b"]) == {"a": b"2", "b": b"3"}
        assert await backend.size("owner") == 2
        await backend.drop("owner")
        await backend.durable.write("owner", "b", {"0": b"1"}, 100.0)
        await backend.durable.write("owner", "c", {"0": b"1"}, 100.0)
        await backend.durable.drop("owner", ["b", "c"])
        await backend.close()


@pytest.mark.parametrize(
    ("options", "risks"),
    [
        ({"appendonly": "yes"}, []),
        ({"appendonly": "yes", "maxmemory": "1gb"}, []),
        ({"appendonly": "yes", "maxmemory-policy": "allkeys-lru"}, []),
        (
            {"maxmemory": "1gb", "maxmemory-policy": "volatile-ttl"},
            [
                "maxmemory-policy is volatile-ttl, not noeviction: a full Redis evicts them",
                "appendonly is off: a Redis that stops forgets the latest of them",
            ],
        ),
    ],
)
async def test_what_may_let_durable_values_vanish_early_is_told(
    options: dict[str, str], risks: list[str]
) -> None:
    with Redis(options) as server:
        backend = RedisBackend(server.url)
        assert await backend.durable.risks() == risks
        await backend.close()


async def test_risks_that_may_not_be_asked_for_are_a_risk(own_redis: Redis) -> None:
    async with Client.from_url(own_redis.url) as client:
        ask: Callable[..., Awaitable[Any]] = client.execute_command
        await ask("ACL", "SETUSER", "blind", "on", ">pass", "~*", "+@all", "-info")
    backend = RedisBackend(own_redis.url.replace("//", "//blind:pass@"))
    (risk,) = await backend.durable.risks()
    assert "INFO" in risk
    await backend.close()


async def test_a_bundle_is_one_key_that_expires(backend: RedisBackend, client: Client) -> None:
    """No key of uploads is without an end, whoever dies when."""
    await backend.durable.write("owner", "upload/1", {"0": b"1"}, 100.0)
    assert await client.keys("*") == [b"jmap-gateway:{owner}:durable:upload/1"]
    assert 90 < await client.ttl("jmap-gateway:{owner}:durable:upload/1") <= 100
    assert await backend.durable.swap("owner", "upload/1", "0", b"1", {"1": b"2"}, 1000.0)
    assert await client.ttl("jmap-gateway:{owner}:durable:upload/1") > 900
