"""RFC 9051 §3.4, §7.1.5: how connections fail to begin, and end, with nobody left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.imap.commands.examine import examine
from gateway.imap.commands.fetch import Fetch
from gateway.imap.commands.noop import Noop
from gateway.imap.connection import Connection, Credentials, Endpoint
from gateway.imap.errors import (
    CommandTimeout,
    ConnectionLost,
    ImapError,
    ProtocolError,
    ServerBusy,
)
from gateway.imap.wire import items
from gateway.imap.wire.framer import MAX_LINE
from gateway.imap.wire.responses import Untagged
from tests.imap.sessions import connected, news, plain
from tests.servers.scripted import Peer, Script, Scripted


async def test_a_lost_connection_fails_all_that_wait_at_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.command()
        await peer.send_raw(b"* 1 FETCH (UID 5 BODY[] {100}\r\nhalf")

    async with connected(script, silence=60) as (connection, _):
        waiting = [connection.run_all(Noop(), Noop()), connection.run(Noop())]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in results] == [ConnectionLost, ConnectionLost]
        assert connection.closed


async def test_the_text_of_a_bye_is_in_the_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send(b"* BYE [UNAVAILABLE] server is going down")

    async with connected(script) as (connection, _):
        heard = news(connection)
        with pytest.raises(ConnectionLost, match="server is going down") as lost:
            await connection.run(Noop())
        assert lost.value.bye
        assert heard == [b"* BYE [UNAVAILABLE] server is going down"]


async def test_a_silent_server_is_given_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.gone()

    async with connected(script, silence=0.05) as (connection, _):
        with pytest.raises(CommandTimeout):
            await connection.run(Noop())
        assert connection.closed


async def test_a_server_that_only_keeps_talking_is_given_up_too() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        while True:
            await peer.send(b"* OK still here")
            await asyncio.sleep(0.01)

    async with connected(script) as (connection, _):
        with pytest.raises(CommandTimeout):
            await connection.run(Noop(), timeout=0.1)
        assert connection.closed


async def test_a_cancelled_command_ends_its_connection_and_no_other_waits() -> None:
    received = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.command()
        received.set()
        await peer.gone()

    async with connected(script, silence=60) as (connection, _):
        task = asyncio.create_task(connection.run(Noop()))
        waiting = asyncio.create_task(connection.run(Noop()))
        await received.wait()
        task.cancel()
        results = await asyncio.gather(task, waiting, return_exceptions=True)
        assert [type(each) for each in results] == [asyncio.CancelledError, ConnectionLost]
        assert connection.closed


async def test_giving_up_before_ones_turn_harms_nobody() -> None:
    received, release = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        for _ in range(2):
            command = await peer.command()
            received.set()
            await release.wait()
            await peer.ok(command)

    async with connected(script) as (connection, _):
        running = asyncio.create_task(connection.run(Noop()))
        await received.wait()
        with pytest.raises(CommandTimeout):
            await connection.run(Noop(), timeout=0.01)
        release.set()
        await running
        await connection.run(Noop())


_HOSTILE: dict[str, bytes] = {
    "an unknown tag": b"zz9 OK done\r\n",
    "a giant literal": b"* 1 FETCH (BODY[] {99999999}\r\n",
    "a literal with 5,000 digits": b"* 1 FETCH (BODY[] {%s}\r\n" % (b"9" * 5000),
    "a line without an end": b"* OK " + b"x" * (MAX_LINE + 10),
    "deep nesting": b"* 1 FETCH (UID 5 ENVELOPE %s)\r\n" % (b"(" * 5000 + b")" * 5000),
    "unbalanced parentheses": b"* 1 FETCH (UID 5 FLAGS (\r\n",
    "a row that is no list": b"* 1 FETCH UID\r\n",
    "an open string": b'* 1 FETCH (UID 5 ENVELOPE "\r\n',
    "no IMAP at all": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "octets without meaning": bytes(range(256)) + b"\r\n",
    "a huge number": b"* %s EXISTS\r\n" % (b"9" * 5000),
}


@pytest.mark.parametrize("octets", _HOSTILE.values(), ids=_HOSTILE.keys())
async def test_a_grammar_error_closes_the_connection(octets: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send_raw(octets)
        await peer.gone()

    async with connected(script, silence=60) as (connection, _):
        with pytest.raises(ProtocolError):
            await connection.run(Fetch(b"5", [items.BODYSTRUCTURE]))
        assert connection.closed


@pytest.mark.parametrize("broken", [ValueError("x"), ProtocolError("x")])
async def test_a_command_that_fails_to_read_its_answer_does_not_hang(broken: Exception) -> None:
    class Broken(Noop):
        def collect(self, response: Untagged) -> bool:
            raise broken

    async def script(peer: Peer) -> None:
        await peer.ok(await peer.command(), b"* 1 EXISTS")

    async with connected(script, silence=60) as (connection, _):
        with pytest.raises(ProtocolError):
            await connection.run(Broken())


async def test_ten_thousand_lines_in_one_read_are_no_trouble() -> None:
    async def script(peer: Peer) -> None:
        command = await peer.command()
        await peer.ok(command, *(b"* %d EXPUNGE" % n for n in range(1, 10_001)))

    async with connected(script) as (connection, _):
        heard = news(connection)
        await connection.run(Noop())
        assert len(heard) == 10_000


async def test_close_logs_out_and_later_commands_say_so() -> None:
    async def script(peer: Peer) -> None:
        await peer.ok(await peer.command(), b"* BYE bye")

    async with connected(script) as (connection, server):
        await connection.close()
        await connection.close()
        assert [each.line for each in server.received] == [b"LOGOUT"]
        with pytest.raises(ConnectionLost):
            await connection.run(Noop())


# --- Opening ---------------------------------------------------------------------------------


async def _open(script: Script, deadline: float = 10.0) -> Connection:
    async with Scripted(script) as server:
        return await Connection.open(plain(server), None, deadline)


def _sends(octets: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.send_raw(octets)
        await peer.gone()

    return script


async def _says_nothing(peer: Peer) -> None:
    await peer.gone()


async def _closes(peer: Peer) -> None:
    peer.close()


@pytest.mark.parametrize(
    ("script", "deadline", "error"),
    [
        (_sends(b"* BYE [UNAVAILABLE] too busy\r\n"), 10, ServerBusy),
        (_sends(b"* PREAUTH welcome root\r\n"), 10, ProtocolError),
        (_sends(b"* 1 EXISTS\r\n"), 10, ProtocolError),
        (_sends(b"220 mail ESMTP\r\n"), 10, ProtocolError),
        (_sends(b"g1 OK done\r\n"), 10, ProtocolError),
        (_says_nothing, 0.05, CommandTimeout),
        (_closes, 10, ConnectionLost),
    ],
)
async def test_servers_that_do_not_greet(
    script: Script, deadline: float, error: type[ImapError]
) -> None:
    with pytest.raises(error):
        await _open(script, deadline)


async def test_a_busy_greeting_says_why() -> None:
    with pytest.raises(ServerBusy) as busy:
        await _open(_sends(b"* BYE [UNAVAILABLE] too busy\r\n"))
    assert (busy.value.code, busy.value.text) == ("UNAVAILABLE", "too busy")


async def test_a_refused_connection_is_lost() -> None:
    async with Scripted(_says_nothing) as server:
        endpoint = plain(server)
    with pytest.raises(ConnectionLost):
        await Connection.open(endpoint, None)


async def test_giving_up_while_opening_leaves_no_connection() -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        arrived.set()
        await peer.gone()
        gone.set()

    async with Scripted(script) as server:
        task = asyncio.create_task(Connection.open(plain(server), None))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 10)


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_tls_needs_a_context(security: Any) -> None:
    with pytest.raises(ValueError, match="TLS"):
        await Connection.open(Endpoint("127.0.0.1", 1, security), None)


# --- uvloop ----------------------------------------------------------------------------------


def test_it_runs_under_uvloop(uvloop_run: Callable[[Any], Any]) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept_login()
        await peer.ok(await peer.command(), b"* 3 EXISTS")

    async def main() -> None:
        async with Scripted(script) as server:
            connection = await Connection.open(plain(server), None)
            await connection.login(Credentials("u", "p"), "192.0.2.1")
            assert (await examine(connection, b"INBOX")).exists == 3
            await connection.close()

    uvloop_run(main())


async def test_who_gives_up_as_the_greeting_comes_has_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cancellation that came at that moment was lost: a gateway that was to end did not."""
    received = Connection.received

    def received_and_given_up(connection: Connection, chunk: bytes) -> None:
        received(connection, chunk)
        opening.cancel()

    monkeypatch.setattr(Connection, "received", received_and_given_up)
    async with Scripted(Peer.greet) as server:
        opening = asyncio.create_task(Connection.open(plain(server), None))
        with pytest.raises(asyncio.CancelledError):
            await opening
