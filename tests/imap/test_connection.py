"""RFC 9051 §2, §3, §5.5: a connection to a server that is slow, wrong or hostile on cue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.imap.commands.examine import Close, Examine, examine
from gateway.imap.commands.fetch import Fetch, fetch
from gateway.imap.commands.fetch_columns import FetchColumns, header_fields, stream_columns
from gateway.imap.commands.noop import Noop
from gateway.imap.commands.status import Status, StatusOf
from gateway.imap.connection import Connection, Credentials, Endpoint
from gateway.imap.errors import (
    CommandRefused,
    CommandTimeout,
    ConnectionLost,
    ImapError,
    MailboxUnavailable,
    ProtocolError,
    ServerBusy,
)
from gateway.imap.wire import items
from gateway.imap.wire.fetchshape import Shape
from gateway.imap.wire.framer import MAX_LINE
from gateway.imap.wire.responses import Untagged
from tests.servers.scripted import Peer, Script, Scripted


@asynccontextmanager
async def connected(
    script: Script, *, silence: float = 10.0
) -> AsyncIterator[tuple[Connection, Scripted]]:
    """A connection whose greeting was read, to a server that goes on with the script."""

    async def greet_and_go_on(peer: Peer) -> None:
        await peer.greet()
        await script(peer)

    async with Scripted(greet_and_go_on) as server:
        connection = await Connection.open(_plain(server), None, silence=silence)
        try:
            yield connection, server
        finally:
            connection.on_unsolicited = lambda response: None
            connection.lost(None)


def _plain(server: Scripted) -> Endpoint:
    return Endpoint("127.0.0.1", server.port, "plain")


def _news(connection: Connection) -> list[bytes]:
    heard: list[bytes] = []
    connection.on_unsolicited = lambda response: heard.append(response.frame.octets)
    return heard


# --- Pipelining ------------------------------------------------------------------------------


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
    news = [b"* 9 EXISTS", b"* 3 EXPUNGE", b"* VANISHED 7", b"* 2 FETCH (FLAGS (\\Seen))"]

    async def script(peer: Peer) -> None:
        await peer.ok(await peer.command(), *news, b"* 1 FETCH (UID 5 RFC822.SIZE 7)", *news)

    async with connected(script) as (connection, _):
        heard = _news(connection)
        fetched = await fetch(connection, [5], [items.SIZE])
        assert [(row.uid, row.size) for row in fetched.rows] == [(5, 7)]
        assert heard == news + news


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


# --- Bulk rows -------------------------------------------------------------------------------


def _row(uid: int, header: bytes) -> bytes:
    return b"* %d FETCH (UID %d BODY[HEADER.FIELDS (TO)]<0> {%d}\r\n%s)" % (
        uid,
        uid,
        len(header),
        header,
    )


async def test_bulk_rows_come_as_columns_and_news_between_them_stay_news() -> None:
    evil = b"To: a\r\n\r\n)\r\n* 7 FETCH (UID 666 FLAGS (\\Deleted))\r\n"

    async def script(peer: Peer) -> None:
        first = await peer.command()
        rows = [_row(uid, evil if uid % 50 == 0 else b"To: b\r\n\r\n") for uid in range(1, 201)]
        rows.insert(77, b"* 300 EXISTS")
        rows.insert(99, b"* 5 FETCH (FLAGS (\\Seen))")
        second = await peer.command()
        octets = b"".join(row + b"\r\n" for row in rows) + first.tag + b" OK\r\n"
        octets += _row(201, evil) + b"\r\n" + second.tag + b" OK\r\n"
        for start in range(0, len(octets), 997):
            await peer.send_raw(octets[start : start + 997])
            await asyncio.sleep(0)

    async with connected(script) as (connection, _):
        heard = _news(connection)
        asked = [items.UID, header_fields(["To"])]
        slices = [each async for each in stream_columns(connection, [b"1:200", b"201"], asked)]
    assert [len(each) for each in slices] == [200, 1]
    assert slices[0].uid == [b"%d" % uid for uid in range(1, 201)]
    assert slices[0].header[48:51] == [b"To: b\r\n\r\n", evil, b"To: b\r\n\r\n"]
    assert slices[1].header == [evil]
    assert heard == [b"* 300 EXISTS", b"* 5 FETCH (FLAGS (\\Seen))"]


async def test_rows_in_pieces_are_put_together() -> None:
    """Exchange sends the items of a message in several responses."""

    async def script(peer: Peer) -> None:
        await peer.ok(
            await peer.command(),
            b"* 1 FETCH (FLAGS (\\Seen))",
            b"* 2 FETCH (UID 12 FLAGS ())",
            b"* 1 FETCH (UID 11 MODSEQ (5))",
            b"* 3 FETCH (UID 13 FLAGS () MODSEQ (6))",
            b"* 3 FETCH (UID 13 FLAGS (\\Seen))",
            b"* 4 FETCH (FLAGS (\\Draft))",
        )

    async with connected(script) as (connection, _):
        heard = _news(connection)
        asked = [items.UID, items.FLAGS, items.MODSEQ]
        columns = await connection.run(FetchColumns(b"11:13", asked, Shape(asked)))
    assert sorted(zip(columns.uid, columns.flags, columns.modseq, strict=True)) == [
        (b"11", b"\\Seen", b"5"),
        (b"12", b"", None),
        (b"13", b"", b"6"),
    ]
    assert heard == [b"* 3 FETCH (UID 13 FLAGS (\\Seen))", b"* 4 FETCH (FLAGS (\\Draft))"]


async def test_parts_of_a_fetched_row_are_merged_and_news_are_told_apart() -> None:
    async def script(peer: Peer) -> None:
        await peer.ok(
            await peer.command(),
            b"* 1 FETCH (RFC822.SIZE 7)",
            b"* 1 FETCH (UID 5 BODY[1] NIL)",
            b"* 1 FETCH (UID 5 FLAGS (\\Seen))",
            b"* 8 FETCH (UID 9 RFC822.SIZE 1)",
            b"* 2 FETCH (RFC822.SIZE 8)",
        )

    async with connected(script) as (connection, _):
        heard = _news(connection)
        fetched = await fetch(connection, [5, 6], [items.SIZE, items.section("", "1")])
    (row,) = fetched.rows
    assert (row.uid, row.size, row.sections, row.flags) == (5, 7, {"BODY[1]": None}, None)
    assert row.present == {"UID", "RFC822.SIZE", "BODY[1]"}
    assert heard == [
        b"* 1 FETCH (UID 5 FLAGS (\\Seen))",
        b"* 8 FETCH (UID 9 RFC822.SIZE 1)",
        b"* 2 FETCH (RFC822.SIZE 8)",
    ]


async def test_a_refused_fetch_gives_what_came() -> None:
    """Exchange says NO when one message of the set is gone."""

    async def script(peer: Peer) -> None:
        command = await peer.command()
        await peer.send(b"* 1 FETCH (UID 5 RFC822.SIZE 7)", command.tag + b" NO some are gone")

    async with connected(script) as (connection, _):
        with pytest.raises(CommandRefused) as refused:
            await fetch(connection, [5, 6], [items.SIZE])
        assert [row.uid for row in refused.value.partial.rows] == [5]  # type: ignore[attr-defined]


async def test_vanished_is_taken_only_when_asked_for() -> None:
    """RFC 7162 §3.2.6: VANISHED (EARLIER) answers, VANISHED alone is news."""

    async def script(peer: Peer) -> None:
        command = await peer.command()
        assert command.line == b"UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 5 VANISHED)"
        await peer.ok(command, b"* VANISHED (EARLIER) 41,43:45", b"* VANISHED 7")

    async with connected(script) as (connection, _):
        heard = _news(connection)
        fetched = await fetch(connection, b"1:*", [items.FLAGS], changed_since=5, vanished=True)
    assert fetched.vanished == [(41, 41), (43, 45)]
    assert heard == [b"* VANISHED 7"]


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


# --- Endings ---------------------------------------------------------------------------------


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
        heard = _news(connection)
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
    "deep nesting": b"* 1 FETCH (UID 5 BODYSTRUCTURE %s)\r\n" % (b"(" * 5000 + b")" * 5000),
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
        heard = _news(connection)
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
        return await Connection.open(_plain(server), None, deadline)


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
        endpoint = _plain(server)
    with pytest.raises(ConnectionLost):
        await Connection.open(endpoint, None)


async def test_giving_up_while_opening_leaves_no_connection() -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        arrived.set()
        await peer.gone()
        gone.set()

    async with Scripted(script) as server:
        task = asyncio.create_task(Connection.open(_plain(server), None))
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
            connection = await Connection.open(_plain(server), None)
            await connection.login(Credentials("u", "p"), "192.0.2.1")
            assert (await examine(connection, b"INBOX")).exists == 3
            await connection.close()

    uvloop_run(main())
