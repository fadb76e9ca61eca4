"""RFC 8620 §8.2, threat R28: tickets, over every backend of the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.auth import tickets
from gateway.auth.errors import NotAuthenticated
from gateway.auth.tickets import Tickets, TooManyTickets
from gateway.store import memory_durable
from gateway.store.base import Backend
from gateway.store.memory import MemoryBackend
from gateway.store.redis import RedisBackend
from gateway.store.sealed import SealedStore
from gateway.store.sqlite import SqliteBackend

USER, AUTHORIZATION, PATH = "ann@example.test", "Basic canary", "/jmap/eventsource"
SECRET = b"s" * 32

Node = Callable[[], Tickets]


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def node(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Node]:
    """Give what starts nodes on one store."""
    shared = MemoryBackend()

    def backend() -> Backend:
        match request.param:
            case "sqlite":
                return SqliteBackend(tmp_path / "store.db")
            case "redis":
                return RedisBackend(request.getfixturevalue("redis_server").url)
            case _:
                return shared

    async with AsyncExitStack() as stack:

        def node() -> Tickets:
            store = SealedStore(backend(), SECRET)
            stack.push_async_callback(store.close)
            return Tickets(store.durable)

        yield node


@pytest.mark.threat("R28")
async def test_any_node_takes_it_and_only_once(node: Node) -> None:
    one, two = node(), node()
    ticket = await one.make(USER, AUTHORIZATION, PATH)
    assert await two.take(ticket.value, PATH) == AUTHORIZATION
    for each in (one, two):
        with pytest.raises(NotAuthenticated):
            await each.take(ticket.value, PATH)


async def test_of_many_at_once_one_gets_in(node: Node) -> None:
    nodes = [node() for _ in range(4)]
    ticket = await nodes[0].make(USER, AUTHORIZATION, PATH)
    taken = await asyncio.gather(
        *(each.take(ticket.value, PATH) for each in nodes * 4), return_exceptions=True
    )
    assert taken.count(AUTHORIZATION) == 1
    assert sum(isinstance(each, NotAuthenticated) for each in taken) == 15


@pytest.mark.threat("R28")
async def test_it_is_for_one_path(node: Node) -> None:
    ticket = await node().make(USER, AUTHORIZATION, PATH)
    with pytest.raises(NotAuthenticated):
        await node().take(ticket.value, "/jmap/api")
    assert await node().take(ticket.value, PATH) == AUTHORIZATION


@pytest.mark.parametrize("ticket", ["", "A" * 22, "A" * 21, "A" * 5000, "Ä" * 22, "A" * 22 + "\n"])
async def test_what_is_no_ticket(ticket: str) -> None:
    with pytest.raises(NotAuthenticated):
        await Tickets(SealedStore(MemoryBackend(), SECRET).durable).take(ticket, PATH)


@pytest.mark.threat("R28")
async def test_after_a_minute_it_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 0.0

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return moment

    monkeypatch.setattr(memory_durable, "time", Clock)
    made = Tickets(SealedStore(MemoryBackend(), SECRET).durable)
    early, late = [await made.make(USER, AUTHORIZATION, PATH) for _ in range(2)]
    moment = 59.0
    assert await made.take(early.value, PATH) == AUTHORIZATION
    moment = 60.0
    with pytest.raises(NotAuthenticated):
        await made.take(late.value, PATH)


async def test_database_tells_neither_ticket_nor_password(tmp_path: Path) -> None:
    store = SealedStore(SqliteBackend(tmp_path / "store.db"), SECRET)
    ticket = await Tickets(store.durable).make(USER, AUTHORIZATION, PATH)
    await store.close()
    octets = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert octets
    for secret in (ticket.value, AUTHORIZATION, "canary"):
        assert secret.encode() not in octets


@pytest.mark.threat("R28")
async def test_tickets_differ_and_have_128_bits() -> None:
    made = Tickets(SealedStore(MemoryBackend(), SECRET).durable)
    values = {(await made.make(USER, AUTHORIZATION, PATH)).value for _ in range(100)}
    assert len(values) == 100
    assert {len(value) for value in values} == {22}


async def test_user_has_so_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "_MOST", 2)
    moment = 0.0
    made = Tickets(SealedStore(MemoryBackend(), SECRET).durable, lambda: moment)
    for _ in range(2):
        await made.make(USER, AUTHORIZATION, PATH)
    with pytest.raises(TooManyTickets):
        await made.make(USER, AUTHORIZATION, PATH)
    await made.make("bob@example.test", AUTHORIZATION, PATH)
    moment = 60.0
    await made.make(USER, AUTHORIZATION, PATH)
