"""Design §4: the pool lends a few connections fairly, and none is ever lent broken."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.imap import pool as pool_module
from gateway.imap.commands.examine import examine
from gateway.imap.commands.noop import Noop
from gateway.imap.connection import Connection, Credentials, Endpoint
from gateway.imap.errors import (
    CommandTimeout,
    ConnectionLost,
    ImapError,
    MailboxUnavailable,
    ServerBusy,
)
from gateway.imap.pool import Pool
from tests.servers.scripted import Peer, Script, Scripted


async def obliging(peer: Peer) -> None:
    """Log in, then answer everything; the mailbox "gone" does not exist."""
    await peer.accept_login()
    while True:
        command = await peer.command()
        if command.line == b"EXAMINE gone":
            await peer.send(command.tag + b" NO [NONEXISTENT] gone")
        else:
            await peer.ok(command)


@asynccontextmanager
async def pooled(
    script: Script = obliging, *, size: int = 2, idle_seconds: float = 60
) -> AsyncIterator[tuple[Pool, Scripted]]:
    async with Scripted(script) as server:

        async def connect() -> Connection:
            connection = await Connection.open(Endpoint("127.0.0.1", server.port, "plain"), None)
            try:
                await connection.login(Credentials("u", "p"), "192.0.2.1")
            except ImapError:
                await connection.close()
                raise
            return connection

        pool = Pool(connect, size, idle_seconds)
        yield pool, server
        await pool.close()


async def test_a_connection_is_used_again() -> None:
    async with pooled() as (pool, server):
        async with pool.connection() as first:
            await first.run(Noop())
        async with pool.connection() as second:
            assert second is first
        assert server.connections == 1


async def test_the_connection_that_has_the_mailbox_open_is_preferred() -> None:
    async with pooled() as (pool, server):
        async with pool.connection(b"a") as a, pool.connection(b"b") as b:
            assert a is not b
        for mailbox, expected in ((b"a", a), (b"b", b), (b"b", b), (b"a", a)):
            async with pool.connection(mailbox) as lent:
                assert lent is expected
        examined = [each.line for each in server.received if each.verb == b"EXAMINE"]
        assert examined == [b"EXAMINE a", b"EXAMINE b"]


async def test_a_new_connection_is_better_than_moving_one_and_moving_better_than_waiting() -> None:
    async with pooled() as (pool, server):
        async with pool.connection(b"a"):
            pass
        async with pool.connection(b"b"):
            pass
        assert server.connections == 2
        async with pool.connection(b"c") as lent:
            assert lent.selected is not None
            assert lent.selected.mailbox == b"c"
        assert server.connections == 2


async def test_an_unselected_connection_is_better_than_a_new_one() -> None:
    async with pooled() as (pool, server):
        async with pool.connection():
            pass
        async with pool.connection(b"a"):
            pass
        assert server.connections == 1


async def test_who_comes_first_is_served_first() -> None:
    served: list[int] = []
    async with pooled(size=1) as (pool, _):

        async def use(number: int) -> None:
            async with pool.connection():
                served.append(number)
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(use(number))
        assert served == list(range(20))


async def test_there_are_never_more_than_size() -> None:
    async with pooled(size=3) as (pool, server):

        async def use() -> None:
            async with pool.connection() as lent:
                await lent.run(Noop())

        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(use())
        assert server.most_open == 3


async def test_a_mailbox_that_is_gone_costs_no_connection() -> None:
    async with pooled() as (pool, server):
        with pytest.raises(MailboxUnavailable):
            async with pool.connection(b"gone"):
                pytest.fail("the mailbox is gone")
        async with pool.connection(b"a"):
            pass
        assert server.connections == 1


async def test_a_connection_the_server_closed_while_idle_is_replaced() -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept_login()
        await peer.ok(await peer.command())
        if not closed.is_set():
            await peer.send(b"* BYE idle for too long")

    async with pooled(script, size=1) as (pool, server):
        async with pool.connection() as first:
            await first.run(Noop())
        while not first.closed:
            await asyncio.sleep(0)
        closed.set()
        async with pool.connection() as second:
            await second.run(Noop())
        assert server.connections == 2


async def test_a_connection_that_broke_while_lent_makes_room_for_who_waits() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept_login()
        await peer.command()

    async with pooled(script, size=1) as (pool, server):

        async def use() -> None:
            with pytest.raises(ConnectionLost):
                async with pool.connection() as lent:
                    await lent.run(Noop())

        await asyncio.gather(*(use() for _ in range(5)))
        assert server.connections == 5


async def test_idle_connections_are_closed_after_a_while() -> None:
    async with pooled(idle_seconds=0.01) as (pool, server):
        async with pool.connection():
            pass
        while server.open:
            await asyncio.sleep(0.01)
        assert server.received[-1].line == b"LOGOUT"
        assert pool.count == 0


async def test_waiting_ends_at_the_deadline() -> None:
    async with pooled(size=1) as (pool, _), pool.connection():
        with pytest.raises(CommandTimeout):
            async with pool.connection(deadline=0.01):
                pytest.fail("there is one connection, and it is lent")


async def test_a_server_that_allows_fewer_connections_is_asked_for_no_more() -> None:
    """Dovecot: NO [LIMIT] Maximum number of connections from user+IP exceeded."""

    async def script(peer: Peer) -> None:
        if server.open == 1:
            await obliging(peer)
        await peer.greet()
        await peer.send((await peer.command()).tag + b" NO [LIMIT] too many")
        await peer.obey()

    async with pooled(script) as (pool, server):
        async with pool.connection(b"a"):
            waiting = [asyncio.create_task(_use(pool, b"b")) for _ in range(3)]
            while server.connections < 2:
                await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        assert server.connections == 2


async def _use(pool: Pool, mailbox: bytes) -> None:
    async with pool.connection(mailbox) as lent:
        await lent.run(Noop())


async def test_a_busy_server_without_any_connection_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"* BYE [UNAVAILABLE] later")

    async with pooled(script) as (pool, _):
        with pytest.raises(ServerBusy):
            await _use(pool, b"a")


async def test_after_a_failure_nothing_is_tried_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts = 0

    async def connect() -> Connection:
        nonlocal attempts
        attempts += 1
        raise ConnectionLost("refused")

    monkeypatch.setattr("gateway.imap.pool._PATIENCE", 0.0)
    pool = Pool(connect)
    now = asyncio.get_running_loop().time()
    for attempt in range(4):
        for _ in range(3):
            with pytest.raises(ConnectionLost, match="refused"):
                await _use(pool, b"a")
        assert attempts == attempt + 1
        assert pool._not_before - now > 0.5 * 0.5 * 2**attempt
        pool._not_before = 0  # the while is over


async def test_a_short_while_is_waited_out() -> None:
    server_is_back = False

    async def connect() -> Connection:
        nonlocal server_is_back
        if not server_is_back:
            server_is_back = True
            raise ConnectionLost("refused")
        raise ServerBusy(None, "the second attempt")

    pool = Pool(connect)
    with pytest.raises(ConnectionLost):
        await _use(pool, b"a")
    with pytest.raises(ServerBusy):
        await _use(pool, b"a")


async def test_an_adopted_connection_is_lent() -> None:
    async with Scripted(obliging) as server:
        connection = await Connection.open(Endpoint("127.0.0.1", server.port, "plain"), None)
        await connection.login(Credentials("u", "p"), "192.0.2.1")
        await examine(connection, b"a")

        async def connect() -> Connection:
            raise ConnectionLost("not needed")

        pool = Pool(connect)
        pool.adopt(connection)
        async with pool.connection(b"a") as lent:
            assert lent is connection
        await pool.close()
        assert connection.closed


async def test_closing_ends_all_and_all_who_wait() -> None:
    async with pooled(size=1) as (pool, server):
        async with pool.connection() as lent:
            waiting = [asyncio.create_task(_use(pool, b"a")) for _ in range(5)]
            await asyncio.sleep(0)
            await pool.close()
            assert lent.closed
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert {type(each) for each in results} == {ConnectionLost}
        with pytest.raises(ConnectionLost):
            await _use(pool, b"a")
        assert server.connections == 1


async def test_many_tasks_with_cancellations_and_a_server_that_drops_them_all_end() -> None:
    dice = random.Random(9051)  # the same run every time, as far as the scheduler allows

    async def script(peer: Peer) -> None:
        await peer.accept_login()
        for _ in range(dice.randrange(1, 12)):
            command = await peer.command()
            if dice.random() < 0.05:
                peer.abort()
                return
            await peer.ok(command)

    done = 0
    async with pooled(script) as (pool, server):
        pool_module_backoff, pool_module._BACKOFF_FIRST = pool_module._BACKOFF_FIRST, 0.001

        async def use() -> None:
            nonlocal done
            async with pool.connection(b"m%d" % dice.randrange(4), deadline=30) as lent:
                await lent.run(Noop())
                await asyncio.sleep(0)
                await lent.run(Noop())
            done += 1

        try:
            tasks = [asyncio.create_task(use()) for _ in range(200)]
            for task in dice.sample(tasks, 60):
                await asyncio.sleep(0)
                task.cancel()
            results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
        finally:
            pool_module._BACKOFF_FIRST = pool_module_backoff
        kinds = {type(each) for each in results}
        assert kinds <= {type(None), asyncio.CancelledError, ConnectionLost}
        assert done > 50
        assert server.most_open <= 3  # one may be closing while its successor opens
        async with pool.connection(deadline=10):
            pass
