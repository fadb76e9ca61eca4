"""RFC 5804 §1.2, §1.3: whatever a server does ends in an answer or in a clear error, in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.managesieve import errors, scripts
from gateway.managesieve.connection import Connection
from gateway.managesieve.errors import (
    CommandRefused,
    CommandTimeout,
    CommandUnsupported,
    ConnectionLost,
    ProtocolError,
    SieveError,
)
from tests.managesieve.peers import GREETING, OLD, accept, logged_in, says, sent, url
from tests.servers.process import free_port
from tests.servers.scripted import Peer, Scripted

Act = Callable[[Connection], Awaitable[object]]

ACTS: dict[str, tuple[Act, bytes]] = {
    "list": (scripts.list_scripts, b'"a"\r\n{3}\r\nb"c ACTIVE\r\nOK "done"\r\n'),
    "get": (lambda c: scripts.get_script(c, "a"), b"{7}\r\nkeep;\r\n\r\nOK\r\n"),
    "put": (lambda c: scripts.put_script(c, "a", b"keep;\r\n"), b"OK (WARNINGS) {3}\r\n1\r\n\r\n"),
    "check": (lambda c: scripts.check_script(c, b"keep;"), b"OK\r\n"),
    "activate": (lambda c: scripts.set_active(c, "a"), b"OK\r\n"),
    "delete": (lambda c: scripts.delete_script(c, "a"), b'NO (ACTIVE) "it is"\r\n'),
    "rename": (lambda c: scripts.rename_script(c, "a", "b"), b"OK\r\n"),
    "space": (lambda c: scripts.have_space(c, "a", 5), b'NO (QUOTA/MAXSIZE) "no"\r\n'),
    "noop": (scripts.noop, b'OK "NOOP completed"\r\n'),
    "capability": (Connection.refresh, GREETING),
}
NAMES = pytest.mark.parametrize("name", ACTS)


# --- Commands ----------------------------------------------------------------------------------


async def test_what_is_sent_and_what_comes_of_it() -> None:
    answers = [answer for name, (_, answer) in ACTS.items() if name not in ("delete", "space")]
    async with Scripted(says(*answers)) as server:
        connection = await logged_in(server)
        assert await scripts.list_scripts(connection) == [("a", False), ('b"c', True)]
        assert await scripts.get_script(connection, 'q"\\') == b"keep;\r\n"
        assert await scripts.put_script(connection, "ä", b"keep;\r\n") == "1\r\n"
        assert await scripts.check_script(connection, b"keep;") is None
        await scripts.set_active(connection, "")
        await scripts.rename_script(connection, "a", "b")
        await scripts.noop(connection)
        await connection.refresh()
        assert sent(server)[2:] == [
            b"LISTSCRIPTS",
            b'GETSCRIPT "q\\"\\\\"',
            b"PUTSCRIPT {} {}",
            b'CHECKSCRIPT "keep;"',
            b'SETACTIVE ""',
            b'RENAMESCRIPT "a" "b"',
            b"NOOP",
            b"CAPABILITY",
        ]
        assert server.received[4].literals == ("ä".encode(), b"keep;\r\n")


async def test_commands_of_one_connection_go_one_after_the_other() -> None:
    answers = [b"{1}\r\n%d\r\nOK\r\n" % number for number in range(5)]
    async with Scripted(says(*answers)) as server:
        connection = await logged_in(server)
        found = await asyncio.gather(*(scripts.get_script(connection, "a") for _ in range(5)))
        assert sorted(found) == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize(
    "act",
    [
        lambda c: scripts.get_script(c, "a\r\nLOGOUT"),
        lambda c: scripts.get_script(c, ""),
        lambda c: scripts.set_active(c, "\0"),
        lambda c: scripts.rename_script(c, "a", "\u2028"),
        lambda c: scripts.have_space(c, "a", -1),
    ],
)
async def test_nothing_is_sent_of_what_the_protocol_can_not_carry(act: Act) -> None:
    async with Scripted(says(b"OK\r\n")) as server:
        connection = await logged_in(server)
        with pytest.raises(ValueError, match="not "):
            await act(connection)
        await scripts.noop(connection)
        assert sent(server)[2:] == [b"NOOP"]


# --- Refusals ----------------------------------------------------------------------------------

REFUSALS: dict[bytes, type[CommandRefused]] = {
    b"QUOTA": errors.OverQuota,
    b"QUOTA/OTHER": errors.OverQuota,
    b"QUOTA/MAXSCRIPTS": errors.TooManyScripts,
    b"quota/maxsize/x": errors.ScriptTooLarge,
    b"TRYLATER": errors.TryLater,
    b"ACTIVE": errors.ScriptActive,
    b"NONEXISTENT": errors.ScriptNotFound,
    b"ALREADYEXISTS": errors.ScriptExists,
    b"X-NEW": CommandRefused,
    b'TAG "x"': CommandRefused,
    b"WARNINGS": CommandRefused,
}


@pytest.mark.parametrize(("code", "kind"), REFUSALS.items())
async def test_each_code_is_an_error_of_its_own(code: bytes, kind: type[CommandRefused]) -> None:
    async with Scripted(says(b"NO (%b) {4}\r\na\r\nb\r\n" % code, b"OK\r\n")) as server:
        connection = await logged_in(server)
        with pytest.raises(CommandRefused) as caught:
            await scripts.set_active(connection, "a")
        assert type(caught.value) is kind
        assert caught.value.code == code.decode().split()[0].upper()
        assert (caught.value.command, caught.value.text) == ("SETACTIVE", "a\r\nb")
        await scripts.noop(connection)  # nothing is wrong with the connection


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("put", errors.ScriptInvalid),
        ("check", errors.ScriptInvalid),
        ("space", errors.OverQuota),
        ("list", CommandRefused),
    ],
)
async def test_a_refusal_without_a_code_is_what_the_command_is_about(
    name: str, kind: type[CommandRefused]
) -> None:
    async with Scripted(says(b'NO "line 2: Syntax error"\r\n')) as server:
        connection = await logged_in(server)
        with pytest.raises(CommandRefused, match="line 2") as caught:
            await ACTS[name][0](connection)
        assert type(caught.value) is kind
        assert caught.value.code is None


# --- Servers older than RFC 5804 ---------------------------------------------------------------


async def test_an_old_server_renames_in_steps() -> None:
    answers = (b'"a" ACTIVE\r\n"c"\r\nOK\r\n', b"{5}\r\nkeep;\r\nOK\r\n", *[b"OK\r\n"] * 3)
    async with Scripted(says(*answers, greeting=OLD)) as server:
        connection = await logged_in(server)
        await scripts.rename_script(connection, "a", "b")
        assert sent(server)[2:] == [
            b"LISTSCRIPTS",
            b'GETSCRIPT "a"',
            b'PUTSCRIPT "b" "keep;"',
            b'SETACTIVE "b"',
            b'DELETESCRIPT "a"',
        ]


@pytest.mark.parametrize(
    ("old", "new", "kind"), [("x", "b", errors.ScriptNotFound), ("a", "c", errors.ScriptExists)]
)
async def test_an_old_server_renames_nothing_that_is_not_there_or_onto_another(
    old: str, new: str, kind: type[CommandRefused]
) -> None:
    async with Scripted(says(b'"a"\r\n"c"\r\nOK\r\n', greeting=OLD)) as server:
        connection = await logged_in(server)
        with pytest.raises(kind):
            await scripts.rename_script(connection, old, new)
        assert sent(server)[2:] == [b"LISTSCRIPTS"]


async def test_an_old_server_checks_no_scripts_but_can_be_asked_whether_it_is_there() -> None:
    async with Scripted(says(OLD, greeting=OLD)) as server:
        connection = await logged_in(server)
        with pytest.raises(CommandUnsupported):
            await scripts.check_script(connection, b"keep;")
        await scripts.noop(connection)
        assert sent(server)[2:] == [b"CAPABILITY"]


# --- Failures ----------------------------------------------------------------------------------


@NAMES
async def test_a_response_cut_anywhere_is_no_response(name: str) -> None:
    act, answer = ACTS[name]
    for length in range(len(answer)):

        async def script(peer: Peer, length: int = length) -> None:
            await accept(peer)
            await peer.command()
            await peer.send_raw(answer[:length])

        async with Scripted(script) as server:
            connection = await logged_in(server)
            with pytest.raises(ConnectionLost, match="closed the connection"):
                await act(connection)
            assert connection.closed


@NAMES
async def test_silence_ends_the_connection(name: str) -> None:
    act, answer = ACTS[name]
    async with Scripted(says(answer[:-1])) as server:
        connection = await logged_in(server, seconds=0.1)
        with pytest.raises(CommandTimeout):
            await act(connection)
        assert connection.closed
        with pytest.raises(CommandTimeout):
            await scripts.noop(connection)


@NAMES
async def test_giving_up_ends_the_connection(name: str) -> None:
    asked, act = asyncio.Event(), ACTS[name][0]

    async def script(peer: Peer) -> None:
        await accept(peer)
        await peer.command()
        asked.set()
        await peer.gone()

    async with Scripted(script) as server:
        connection = await logged_in(server)
        task = asyncio.create_task(_result(act, connection))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert connection.closed
        with pytest.raises(ConnectionLost):
            await scripts.noop(connection)


async def _result(act: Act, connection: Connection) -> object:
    return await act(connection)


@NAMES
@pytest.mark.parametrize(
    "answer",
    [
        b"\x80\r\n",
        b"\r\n",
        b"OK nonsense\r\n",
        b"+ go on\r\n",
        b'"a" "b" "c"\r\nOK\r\n',
        b"OK\r\nOK\r\n",
        b'OK\r\n"more"\r\n',
        b"{99999999}\r\n",
    ],
)
async def test_what_is_no_response_ends_the_connection(name: str, answer: bytes) -> None:
    async with Scripted(says(answer)) as server:
        connection = await logged_in(server)
        with pytest.raises(ProtocolError):
            await ACTS[name][0](connection)
        assert connection.closed


@NAMES
async def test_a_server_may_say_bye_instead_of_an_answer(name: str) -> None:
    async with Scripted(says(b'BYE (TRYLATER) "Shutting down"\r\n')) as server:
        connection = await logged_in(server)
        with pytest.raises(ConnectionLost) as caught:
            await ACTS[name][0](connection)
        assert (caught.value.bye, caught.value.code) == (True, "TRYLATER")
        assert caught.value.text == "Shutting down"


@pytest.mark.parametrize("target", [b'"sieve://other.test"', b"sieve://other.test"])
async def test_a_referral_is_told_and_not_followed(target: bytes) -> None:
    async with Scripted(says(b"BYE (REFERRAL %b)\r\n" % target)) as server:
        connection = await logged_in(server)
        with pytest.raises(ConnectionLost) as caught:
            await scripts.noop(connection)
        assert caught.value.referral == "sieve://other.test"


@pytest.mark.parametrize(
    ("words", "kind"),
    [(b'BYE "Idle for too long"\r\n', ConnectionLost), (b'"unasked"\r\n', ProtocolError)],
)
async def test_what_is_said_between_commands_is_the_end(
    words: bytes, kind: type[SieveError]
) -> None:
    async with Scripted(says(b"OK\r\n" + words)) as server:
        connection = await logged_in(server)
        try:
            await scripts.noop(connection)
        except kind:  # it came together with the answer
            return
        with pytest.raises(kind):
            await scripts.noop(connection)


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b'BYE (TRYLATER) "Too many connections"\r\n', ConnectionLost),
        (b'NO "not you"\r\n', CommandRefused),
        (b"* OK IMAP4rev1 ready\r\n", ProtocolError),
        (b'"SIEVE" fileinto\r\nOK\r\n', ProtocolError),
        (b'"SIEVE" "fileinto"\r\n', ConnectionLost),
        (b"", ConnectionLost),
    ],
)
async def test_greetings_that_are_none(greeting: bytes, kind: type[SieveError]) -> None:
    async def script(peer: Peer) -> None:
        await peer.send_raw(greeting)

    async with Scripted(script) as server:
        with pytest.raises(kind):
            await Connection.open(url(server.port), None)


async def test_a_server_that_does_not_greet() -> None:
    async with Scripted(lambda peer: peer.gone()) as server:
        with pytest.raises(CommandTimeout):
            await Connection.open(url(server.port), None, connect_seconds=0.1)


async def test_no_server() -> None:
    with pytest.raises(ConnectionLost):
        await Connection.open(url(free_port()), None)


async def test_closing_tells_the_server_and_does_not_wait_for_it() -> None:
    async def script(peer: Peer) -> None:
        await accept(peer)
        await peer.command()
        await peer.gone()

    async with Scripted(script) as server:
        connection = await logged_in(server, seconds=0.1)
        await connection.close()
        assert connection.closed
        assert sent(server)[-1] == b"LOGOUT"
        await connection.close()
