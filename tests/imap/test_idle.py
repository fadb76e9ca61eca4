"""RFC 2177 (RFC 9051 §6.3.13): IDLE."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.imap.commands import idle as idle_module
from gateway.imap.commands.idle import idle
from gateway.imap.commands.noop import Noop
from gateway.imap.errors import CommandRefused, ConnectionLost
from tests.imap.sessions import session
from tests.servers.scripted import Peer


async def test_idle_hands_on_everything_until_it_is_stopped() -> None:
    async def script(peer: Peer) -> None:
        command = await peer.command()
        await peer.send(b"+ idling", b"* 4 EXISTS", b"* 1 EXPUNGE")
        assert await peer.line() == b"DONE"
        await peer.ok(command, b"* 3 EXISTS")
        await peer.ok(await peer.command())

    async with session(b"IMAP4rev1 IDLE", script) as (connection, received):
        stop = asyncio.Event()
        heard: list[bytes] = []

        def on_response(response: object) -> None:
            heard.append(response.frame.octets)  # type: ignore[attr-defined]
            if len(heard) == 2:
                stop.set()

        await asyncio.wait_for(idle(connection, on_response, stop), 10)
        assert heard == [b"* 4 EXISTS", b"* 1 EXPUNGE", b"* 3 EXISTS"]
        await connection.run(Noop())
        assert [each.line for each in received] == [b"IDLE", b"NOOP"]


def idled_three_times(stop: asyncio.Event) -> Callable[[Peer], Awaitable[None]]:
    """A server that says nothing while somebody idles; the third time is the last."""

    async def script(peer: Peer) -> None:
        for number in range(3):
            command = await peer.command()
            await peer.send(b"+ idling")
            if number == 2:
                stop.set()
            assert await peer.line() == b"DONE"
            await peer.ok(command)

    return script


async def test_idle_outlasts_a_silent_server_and_begins_anew() -> None:
    stop = asyncio.Event()
    async with session(b"IMAP4rev1 IDLE", idled_three_times(stop)) as (connection, received):
        await asyncio.wait_for(idle(connection, lambda _: None, stop, 0.02), 10)
        assert [each.line for each in received] == [b"IDLE"] * 3


async def test_idle_goes_on_while_the_server_speaks() -> None:
    """Dovecot says "Still here"; a DONE would wake it up when it hibernates."""
    stop = asyncio.Event()

    async def script(peer: Peer) -> None:
        command = await peer.command()
        await peer.send(b"+ idling")
        for _ in range(14):
            await asyncio.sleep(0.1)
            await peer.send(b"* OK Still here")
        stop.set()
        assert await peer.line() == b"DONE"
        await peer.ok(command)

    async with session(b"IMAP4rev1 IDLE", script) as (connection, received):
        await asyncio.wait_for(idle(connection, lambda _: None, stop, 1.0), 10)
        assert [each.line for each in received] == [b"IDLE"]


async def test_idle_begins_anew_before_the_server_logs_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 9051 §6.3.13, also when it speaks."""
    monkeypatch.setattr(idle_module, "_LONGEST_SECONDS", 0.05)
    stop = asyncio.Event()
    async with session(b"IMAP4rev1 IDLE", idled_three_times(stop)) as (connection, received):
        await asyncio.wait_for(idle(connection, lambda _: None, stop), 10)
        assert [each.line for each in received] == [b"IDLE"] * 3


async def test_stopping_before_the_server_idles_waits_for_it() -> None:
    stop = asyncio.Event()

    async def script(peer: Peer) -> None:
        command = await peer.command()
        stop.set()
        await asyncio.sleep(0.02)
        await peer.send(b"+ idling")
        assert await peer.line() == b"DONE"
        await peer.ok(command)

    async with session(b"IMAP4rev1 IDLE", script) as (connection, _):
        await asyncio.wait_for(idle(connection, lambda _: None, stop), 10)


async def test_stopped_before_it_began_nothing_is_sent() -> None:
    stop = asyncio.Event()
    stop.set()
    async with session(b"IMAP4rev1 IDLE") as (connection, received):
        await idle(connection, lambda _: None, stop)
        assert received == []


async def test_idle_reports_a_refusal() -> None:
    async with session(b"IMAP4rev1") as (connection, _):
        with pytest.raises(CommandRefused):
            await idle(connection, lambda _: None, asyncio.Event())
        assert not connection.closed


async def test_idle_reports_a_lost_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send(b"+ idling", b"* BYE restarting")

    async with session(b"IMAP4rev1 IDLE", script) as (connection, _):
        with pytest.raises(ConnectionLost, match="restarting"):
            await asyncio.wait_for(idle(connection, lambda _: None, asyncio.Event()), 10)


async def test_cancelling_idle_closes_the_connection() -> None:
    idling = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send(b"+ idling", b"* 1 EXISTS")
        await peer.gone()

    async with session(b"IMAP4rev1 IDLE", script) as (connection, _):
        task = asyncio.create_task(idle(connection, lambda _: idling.set(), asyncio.Event()))
        await idling.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert connection.closed
