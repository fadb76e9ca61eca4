"""RFC 9051 §2.2.1, §5.5, §6.3.3: pipelining, streams of commands, the selected mailbox."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.imap.commands.examine import Close, Examine, examine
from gateway.imap.commands.fetch import fetch
from gateway.imap.commands.noop import Noop
from gateway.imap.commands.status import Status, StatusOf
from gateway.imap.connection import Connection, Endpoint
from gateway.imap.errors import (
    CommandRefused,
    ConnectionLost,
    MailboxUnavailable,
)
from gateway.imap.wire import items
from gateway.obs.metrics import IMAP_COMMANDS, IMAP_CONNECTIONS
from gateway.sasl import Credentials
from tests.imap.sessions import connected, news
from tests.servers.dovecot import Dovecot, User
from tests.servers.scripted import Peer


async def test_answers_may_overtake_each_other() -> None:
    async def script(peer: Peer) -> None:
        first, second, third = [await peer.command() for _ in range(3)]
        await peer.ok(third, b"* STATUS c (MESSAGES 3)")
        await peer.send(b"* STATUS b (MESSAGES 2)", b"* STATUS a (MESSAGES 1)")
        await peer.ok(first)
        await peer.ok(second)

    async with connected(script) as (connection, _):
        names = (b"a", b"b", b"c")
        results = await connection.run_all(*(StatusOf(name, ["MESSAGES"]) for name in names))
    assert results == [Status(messages=n) for n in (1, 2, 3)]


async def test_a_batch_goes_out_in_one_write_and_refusals_are_results() -> None:
    async def script(peer: Peer) -> None:
        first, second = [await peer.command() for _ in range(2)]
        await peer.send(first.tag + b" NO [NOPERM] no", second.tag + b" OK yes")

    async with connected(script) as (connection, _):
        refused, result = await connection.run_all(Noop(), Noop())
        assert isinstance(refused, CommandRefused)
        assert (refused.status, refused.code, refused.text) == ("NO", "NOPERM", "no")
        assert result is None
        assert not connection.closed


async def test_nothing_untagged_is_dropped() -> None:
    told = [b"* 9 EXISTS", b"* 3 EXPUNGE", b"* VANISHED 7", b"* 2 FETCH (FLAGS (\\Seen))"]

    async def script(peer: Peer) -> None:
        await peer.ok(await peer.command(), *told, b"* 1 FETCH (UID 5 RFC822.SIZE 7)", *told)

    async with connected(script) as (connection, _):
        heard = news(connection)
        fetched = await fetch(connection, [5], [items.SIZE])
        assert [(row.uid, row.size) for row in fetched.rows] == [(5, 7)]
        assert heard == told + told


async def test_batches_of_several_tasks_do_not_mix() -> None:
    async def script(peer: Peer) -> None:
        while True:
            pair = [await peer.command() for _ in range(2)]
            assert pair[0].line == pair[1].line
            for command in pair:
                await peer.ok(command)

    async with connected(script) as (connection, server):
        await asyncio.gather(
            *(
                connection.run_all(StatusOf(b"%d" % n, ["X"]), StatusOf(b"%d" % n, ["X"]))
                for n in range(20)
            )
        )
        assert len(server.received) == 40


async def test_a_synchronising_literal_waits_to_be_asked_for() -> None:
    async def script(peer: Peer) -> None:
        await peer.ok(await peer.command(), b"* CAPABILITY IMAP4rev1")
        for _ in range(2):
            command = await peer.command()
            assert command.literals == ("ä".encode(),)
            await peer.ok(command)

    async with connected(script) as (connection, _):
        await connection.run(Noop())
        assert "LITERAL+" not in connection.capabilities
        await connection.run_all(*(StatusOf("ä".encode(), ["X"]) for _ in range(2)))


async def test_a_refused_literal_is_not_sent_and_the_next_command_is() -> None:
    async def script(peer: Peer) -> None:
        await peer.ok(await peer.command(), b"* CAPABILITY IMAP4rev1")
        tag = (await peer.line()).split(b" ")[0]
        await peer.send(tag + b" BAD no literals")
        command = await peer.command()
        assert command.line == b"NOOP"
        await peer.ok(command)

    async with connected(script) as (connection, _):
        await connection.run(Noop())
        refused, done = await connection.run_all(StatusOf("ä".encode(), ["X"]), Noop())
        assert isinstance(refused, CommandRefused)
        assert done is None


async def test_an_argument_that_can_not_be_sent_leaves_the_connection_as_it_was() -> None:
    async def script(peer: Peer) -> None:
        command = await peer.command()
        assert command.line == b"NOOP"
        await peer.ok(command)

    async with connected(script) as (connection, _):
        with pytest.raises(ValueError, match="NUL"):
            await connection.run(Examine(b"a\0b"))
        await connection.run(Noop())


async def test_unasked_continuations_are_ignored() -> None:
    async def script(peer: Peer) -> None:
        command = await peer.command()
        await peer.send(b"+ ", b"+")
        await peer.ok(command)

    async with connected(script) as (connection, _):
        await connection.run(Noop())


# --- Streams ---------------------------------------------------------------------------------


async def test_a_stream_keeps_the_window_full_and_the_results_in_order() -> None:
    async def script(peer: Peer) -> None:
        held = [await peer.command() for _ in range(3)]  # all before the first answer
        for _ in range(7):
            await peer.ok(held.pop(0))
            held.append(await peer.command())
        for command in held:
            await peer.ok(command)

    class Numbered(Noop):
        def __init__(self, number: int) -> None:
            self.number = number

        def finish(self, tagged: Any) -> int:  # type: ignore[override]
            return self.number

    async with connected(script) as (connection, _):
        commands = (Numbered(n) for n in range(10))
        assert [n async for n in connection.stream(commands, window=3)] == list(range(10))


async def test_a_refusal_in_a_stream_leaves_the_connection_usable() -> None:
    async def script(peer: Peer) -> None:
        first, second = [await peer.command() for _ in range(2)]
        await peer.send(first.tag + b" NO no")
        await peer.ok(second)
        await peer.ok(await peer.command())

    async with connected(script) as (connection, _):
        with pytest.raises(CommandRefused):
            await anext(connection.stream(Noop() for _ in range(5)))
        await connection.run(Noop())


async def test_a_stream_that_is_left_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.ok(await peer.command())
        await peer.gone()

    async with connected(script) as (connection, _):
        stream = connection.stream(Noop() for _ in range(5))
        async for _ in stream:
            break
        await stream.aclose()  # type: ignore[attr-defined]
        assert connection.closed
        with pytest.raises(ConnectionLost):
            await connection.run(Noop())


# --- The selected mailbox --------------------------------------------------------------------


async def test_selected_follows_examine_and_close() -> None:
    async def script(peer: Peer) -> None:
        await peer.ok(
            await peer.command(),
            b"* FLAGS (\\Seen $x)",
            b"* OK [PERMANENTFLAGS (\\Seen \\*)] Limited",
            b"* 17 EXISTS",
            b"* 2 RECENT",
            b"* OK [UIDVALIDITY 3857529045]",
            b"* OK [UIDNEXT 4392]",
            b"* OK [HIGHESTMODSEQ 715194045007]",
            b"* OK [MAILBOXID (F2212ea87)]",
            code=b"[READ-ONLY] ",
        )
        await peer.ok(await peer.command())
        await peer.ok(await peer.command(), b"* 1 EXISTS", b"* OK [NOMODSEQ] none")
        command = await peer.command()
        await peer.send(command.tag + b" NO [NONEXISTENT] gone")

    async with connected(script) as (connection, server):
        selected = await examine(connection, b"a b")
        assert (connection.selected,) == (selected,)
        assert selected.mailbox == b"a b"
        assert (selected.exists, selected.uidvalidity, selected.uidnext) == (17, 3857529045, 4392)
        assert selected.highestmodseq == 715194045007
        assert selected.permanent_flags == ("\\Seen", "\\*")
        assert selected.mailbox_id == "F2212ea87"
        assert selected.read_only
        await connection.run(Close())
        assert connection.selected is None
        bare = await examine(connection, b"b")
        assert (bare.uidvalidity, bare.uidnext, bare.highestmodseq) == (0, None, None)
        assert bare.permanent_flags is None
        with pytest.raises(MailboxUnavailable):
            await examine(connection, b"c")
        assert connection.selected is None
        assert [each.line for each in server.received][:2] == [b'EXAMINE "a b"', b"CLOSE"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"NO Mailbox doesn't exist: x", MailboxUnavailable),
        (b"NO [NOPERM] x", MailboxUnavailable),
        (b"NO [SERVERBUG] x", CommandRefused),
        (b"BAD syntax", CommandRefused),
    ],
)
async def test_a_mailbox_that_can_not_be_opened(answer: bytes, error: type[Exception]) -> None:
    async def script(peer: Peer) -> None:
        await peer.send((await peer.command()).tag + b" " + answer)

    async with connected(script) as (connection, _):
        with pytest.raises(CommandRefused) as refused:
            await examine(connection, b"x")
        assert type(refused.value) is error


async def test_connections_and_commands_are_counted(dovecot: Dovecot, mailuser: User) -> None:
    """Design §3 (obs): what a provider watches."""
    open_before = IMAP_CONNECTIONS._value.get()
    refused = IMAP_COMMANDS.labels("EXAMINE", "no")
    refused_before = refused._value.get()
    endpoint = Endpoint("127.0.0.1", dovecot.ports.imap, "plain")
    connection = await Connection.open(endpoint, None)
    await connection.login(Credentials(mailuser.username, mailuser.password), "127.0.0.1")
    assert IMAP_CONNECTIONS._value.get() == open_before + 1
    with pytest.raises(CommandRefused):
        await connection.run(Examine(b"No such mailbox"))
    assert refused._value.get() == refused_before + 1
    await connection.close()
    assert IMAP_CONNECTIONS._value.get() == open_before
