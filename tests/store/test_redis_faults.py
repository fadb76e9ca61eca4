"""Design §6, faults F4, F5 and F6: a Redis that pauses, fails, forgets or goes back in time.

Nothing but StoreUnavailable is raised: any other error would end a client's task, and the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest
from redis.asyncio import Redis as Client

from gateway.store import Store, StoreUnavailable
from gateway.store.redis import RedisBackend
from gateway.store.sealed import SealedStore
from tests.servers.redis import Redis
from tests.store.history import HEAD, History, entries, read_log
from tests.store.values import ALICE, SECRET

CLIENTS = 4
STEPS = 20
ROUNDS = 2
PAUSE_MS = 600
CROWD = 400
CROWD_SECONDS = 15.0  # half of what it takes if each waits for those before it


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let operations end in doubt soon."""
    monkeypatch.setattr("gateway.store.redis_hashes.DEADLINE_SECONDS", 0.3)
    monkeypatch.setattr("gateway.store.redis_hashes._SOCKET_SECONDS", 0.2)


@pytest.fixture
def lasting_redis() -> Iterator[Redis]:
    """Give a server that has on disk whatever it said it did."""
    with Redis({"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


@asynccontextmanager
async def connected(server: Redis, number: int = 1) -> AsyncIterator[list[Store]]:
    """Give stores, each with connections of its own."""
    backends = [RedisBackend(server.url) for _ in range(number)]
    try:
        yield [SealedStore(backend, SECRET) for backend in backends]
    finally:
        for backend in backends:
            await backend.close()


async def _freeze(server: Redis, history: History) -> None:
    """SIGSTOP: it takes up later what was sent to it before and meanwhile."""
    with server.frozen():
        await history.failed(CLIENTS)


async def _pause(server: Redis, history: History) -> None:
    async with Client.from_url(server.url) as client:
        await client.client_pause(PAUSE_MS)
    await history.failed(CLIENTS)


async def _disconnect(server: Redis, _: History) -> None:
    async with Client.from_url(server.url) as client:
        await client.client_kill_filter(_type="normal")


async def _fill(server: Redis, history: History) -> None:
    async with Client.from_url(server.url) as client:
        await client.config_set("maxmemory", "1")
        await history.failed(CLIENTS)
        await client.config_set("maxmemory", "0")


async def _forget_scripts(server: Redis, _: History) -> None:
    async with Client.from_url(server.url) as client:
        await client.script_flush()


async def _crash(server: Redis, _: History) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault",
    [_freeze, _pause, _disconnect, _fill, _forget_scripts, _crash],
    ids=lambda f: f.__name__,
)
async def test_a_log_stays_one_whatever_happens_to_a_server_that_keeps_it(
    lasting_redis: Redis, fault: Callable[[Redis, History], Awaitable[None]]
) -> None:
    """F5, F6: what was told to be in is in, in the order in which it was told."""
    history = History()
    async with connected(lasting_redis, CLIENTS) as stores, asyncio.TaskGroup() as tasks:
        for number, store in enumerate(stores):
            tasks.create_task(history.write(store, f"client{number}"))
        for _ in range(ROUNDS):
            await history.grown(STEPS)
            await fault(lasting_redis, history)
        await history.grown(STEPS)
        history.stop()
    async with connected(lasting_redis) as [store]:
        history.check(await read_log(store))


@pytest.mark.usefixtures("impatient")
async def test_a_log_begins_anew_and_whole_when_everything_is_forgotten(own_redis: Redis) -> None:
    """F4."""
    history = History()
    async with connected(own_redis, CLIENTS) as stores, asyncio.TaskGroup() as tasks:
        for number, store in enumerate(stores):
            tasks.create_task(history.write(store, f"client{number}"))
        for _ in range(20):
            await history.grown(5)
            await asyncio.to_thread(own_redis.flush)
        await history.grown(STEPS)
        history.stop()
    async with connected(own_redis) as [store]:
        assert len(await read_log(store)) >= STEPS - CLIENTS


@asynccontextmanager
async def _dump(server: Redis) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Give a function that goes back to now, as after a crash without an append-only file."""
    server.save()

    async def go_back() -> None:
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)

    yield go_back


@asynccontextmanager
async def _replica(server: Redis) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Give a function that goes over to a replica which has heard of nothing since now."""
    async with AsyncExitStack() as stack:
        primary = await stack.enter_async_context(Client.from_url(server.url))
        await primary.config_set("repl-diskless-sync-delay", 0)
        replica = stack.enter_context(Redis({"replicaof": f"127.0.0.1 {server.port}"}))
        client = await stack.enter_async_context(Client.from_url(replica.url))
        await primary.set("other", "1")
        assert await primary.wait(1, 4_000) == 1
        await client.replicaof("NO", "ONE")

        async def go_back() -> None:
            await asyncio.to_thread(server.kill)
            await client.config_set("port", server.port)

        yield go_back


@pytest.mark.parametrize("copy", [_dump, _replica], ids=["dump", "replica"])
async def test_after_going_back_in_time_head_and_records_agree(
    own_redis: Redis,
    copy: Callable[[Redis], AbstractAsyncContextManager[Callable[[], Awaitable[None]]]],
) -> None:
    """F5: what was written since does not count, and nobody can build on it."""
    async with connected(own_redis) as [store]:
        assert await store.replace(ALICE, HEAD, None, entries(None, b"1"))
        async with copy(own_redis) as go_back:
            assert await store.replace(ALICE, HEAD, b"1", entries(b"1", b"2"))
            await go_back()
            assert await read_log(store) == [b"1"]
            assert not await store.replace(ALICE, HEAD, b"2", entries(b"2", b"3"))
            assert await store.replace(ALICE, HEAD, b"1", entries(b"1", b"other"))
            assert await read_log(store) == [b"1", b"other"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("copy", [_dump, _replica], ids=["dump", "replica"])
async def test_those_who_write_while_the_server_goes_back_in_time_go_on_from_there(
    own_redis: Redis,
    copy: Callable[[Redis], AbstractAsyncContextManager[Callable[[], Awaitable[None]]]],
) -> None:
    """F5."""
    history = History()
    async with connected(own_redis, CLIENTS) as stores, AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as tasks:
            for number, store in enumerate(stores):
                tasks.create_task(history.write(store, f"client{number}"))
            await history.grown(STEPS)
            go_back = await stack.enter_async_context(copy(own_redis))
            await history.grown(STEPS)
            await go_back()
            await history.grown(STEPS)
            history.stop()
        log = await read_log(stores[0])
        assert len(set(log)) == len(log) >= 2 * STEPS - CLIENTS


@asynccontextmanager
async def losing_answers(
    server: Redis, command: bytes, before: Callable[[], Awaitable[object]]
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Give a URL where a command is passed on, its answer lost, and `before` done before that.

    With it, a list of all that was passed on.
    """
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        while octets := await reader.read(1 << 16):
            seen.append(octets)
            back.write(octets)
            answer = await there.read(1 << 16)
            if command in octets:
                await before()
                break
            writer.write(answer)
        back.close()
        writer.close()

    relay = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with relay:
        yield f"redis://127.0.0.1:{relay.sockets[0].getsockname()[1]}", seen


async def test_a_write_that_was_applied_and_overtaken_is_not_said_to_have_failed(
    redis_server: Redis,
) -> None:
    """F5: its answer was lost; sent again, it would be refused."""
    async with connected(redis_server) as [other]:
        assert await other.replace(ALICE, HEAD, None, entries(None, b"1"))

        async def overtake() -> None:
            assert await other.replace(ALICE, HEAD, b"2", entries(b"2", b"3"))

        async with losing_answers(redis_server, b"EVALSHA", overtake) as (url, seen):
            backend = RedisBackend(url)
            with pytest.raises(StoreUnavailable):
                await SealedStore(backend, SECRET).replace(ALICE, HEAD, b"1", entries(b"1", b"2"))
            await backend.close()
        assert sum(b"EVALSHA" in octets for octets in seen) == 1
        assert await read_log(other) == [b"1", b"2", b"3"]


async def test_reading_is_tried_again_when_its_answer_was_lost(redis_server: Redis) -> None:
    """F5."""
    async with connected(redis_server) as [other]:
        await other.save(ALICE, {HEAD: b"1"})
        lost = asyncio.Event()

        async def lose_one() -> None:
            assert not lost.is_set()
            lost.set()

        async with losing_answers(redis_server, b"EXPIRE", lose_one) as (url, _):
            backend = RedisBackend(url)
            assert await SealedStore(backend, SECRET).load(ALICE, HEAD) == b"1"
            assert lost.is_set()
            await backend.close()


async def test_a_frozen_write_is_applied_whole_or_not_at_all_and_may_be_made_again(
    own_redis: Redis, impatient: None
) -> None:
    """F5."""
    new = entries(b"old", b"new")
    async with connected(own_redis) as [store]:
        await store.save(ALICE, {HEAD: b"old"})
        with own_redis.frozen():
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await store.replace(ALICE, HEAD, b"old", new)
            with pytest.raises(StoreUnavailable):
                await store.load(ALICE, HEAD)
        assert await store.replace(ALICE, HEAD, b"old", new)
        assert await store.load_many(ALICE, list(new)) == new
        assert not await store.replace(ALICE, HEAD, b"old", entries(b"old", b"other"))


async def test_a_crowd_at_a_frozen_server_is_unavailable_within_one_deadline(
    own_redis: Redis, impatient: None
) -> None:
    """F5: uploads take their turns, and wait for them no longer than for anything else."""
    async with connected(own_redis) as [store]:
        await store.durable.keep(ALICE, "a", {"0": b"1"}, 1000.0)
        with own_redis.frozen():
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: store.durable.load(ALICE, "a", ["0"]),
                lambda: store.durable.keep(ALICE, "b", {"0": b"1"}, 1000.0),
                lambda: store.durable.replace(ALICE, "b", "0", None, {"0": b"1"}, 1000.0),
            ]
            for call in calls:
                crowd = [call() for _ in range(CROWD)]
                async with asyncio.timeout(CROWD_SECONDS):
                    ended = await asyncio.gather(*crowd, return_exceptions=True)
                assert all(isinstance(each, StoreUnavailable) for each in ended)
        assert await store.durable.load(ALICE, "a", ["0"]) == {"0": b"1"}
