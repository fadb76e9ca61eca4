"""RFC 9051 §6.4.5: sections in pieces, from servers that are slow, cut connections or give less."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.imap.connection import Endpoint
from gateway.imap.errors import CommandRefused, ConnectionLost, ProtocolError
from gateway.sasl import Credentials
from gateway.store.opening import open_store
from gateway.sync import pieces
from gateway.sync.account import Account
from gateway.sync.accounts import Accounts, Settings
from gateway.sync.errors import MessageGone
from gateway.sync.pieces import Extent
from gateway.sync.sections import Place
from tests.servers.between import between
from tests.servers.dovecot import Dovecot, User
from tests.servers.scripted import Peer, Received, Scripted

PIECE = 1000
OCTETS = b"Subject: Long\r\n\r\n" + b"".join(b"%068d\r\n" % n for n in range(150))
_WINDOW = re.compile(rb"UID FETCH (\d+) \(UID BODY\.PEEK\[\]<(\d+)\.(\d+)>\)\Z")


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", PIECE)


@dataclass(frozen=True, slots=True)
class Window:
    """A FETCH of octets [start, stop) of the message; `reply` answers it."""

    peer: Peer
    command: Received
    uid: int
    start: int
    stop: int

    async def reply(self, octets: bytes | None) -> None:
        """Answer with these octets, whichever were asked for; None for NIL."""
        value = b"NIL" if octets is None else b"{%d}\r\n%s" % (len(octets), octets)
        item = b"* 1 FETCH (UID %d BODY[]<%d> %s)" % (self.uid, self.start, value)
        await self.peer.ok(self.command, item)

    async def right(self) -> None:
        """Answer as asked."""
        await self.reply(OCTETS[self.start : self.stop])


@dataclass
class Server:
    """The server in between: `on_window` may answer a window itself, by returning True."""

    windows: list[Window] = field(default_factory=list)
    on_window: Callable[[Window], Awaitable[bool]] | None = None
    scripted: Scripted | None = None

    async def answer(self, peer: Peer, command: Received) -> bool:
        match = _WINDOW.match(command.line)
        if match is None:
            return False
        uid, start, octets = map(int, match.groups())
        window = Window(peer, command, uid, start, start + octets)
        self.windows.append(window)
        return self.on_window is not None and await self.on_window(window)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def account(
    dovecot: Dovecot, mailuser: User, server: Server, tmp_path: Path
) -> AsyncIterator[Account]:
    """Give an account with one message, whose server answers through `server`."""
    dovecot.append(mailuser, "INBOX", OCTETS)
    async with AsyncExitStack() as stack:
        scripted = between(dovecot.ports.imap, server.answer)
        server.scripted = await stack.enter_async_context(scripted)
        endpoint = Endpoint("127.0.0.1", scripted.port, "plain")
        store = open_store("memory://", b"x" * 32, tmp_path)
        accounts = Accounts(Settings(endpoint, None), store)
        stack.push_async_callback(accounts.close)
        account = await accounts.login(
            Credentials(mailuser.username, mailuser.password), "10.0.0.1"
        )
        await account.fresh()
        await account.indexed()
        yield account


def extent(start: int = 0, stop: int | None = None, size: int = len(OCTETS)) -> Extent:
    return Extent(0, Place(), size, start, stop)


async def read(account: Account, asked: Extent) -> bytes:
    async with asyncio.timeout(20), aclosing(pieces.read(account, asked)) as found:
        return b"".join([piece async for piece in found])


async def take(account: Account, came: bytearray) -> None:
    """Read all, and add to `came` what came."""
    async with asyncio.timeout(20), aclosing(pieces.read(account, extent())) as found:
        async for piece in found:
            came += piece


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        *((0, None), (1, None), (PIECE, None), (len(OCTETS) - 1, None), (len(OCTETS), None)),
        *((0, 0), (0, 1), (PIECE - 1, PIECE + 1), (500, 3 * PIECE + 500), (7, len(OCTETS) + 5)),
    ],
)
async def test_octets_are_those_asked_for(account: Account, start: int, stop: int | None) -> None:
    assert await read(account, extent(start, stop)) == OCTETS[start:stop]


async def test_nothing_is_read_that_is_not_wanted(account: Account, server: Server) -> None:
    """RFC 9110 §14: what is before a range is not read, nor what is after it."""
    assert await read(account, extent(5500, 7000)) == OCTETS[5500:7000]
    assert [(window.start, window.stop) for window in server.windows] == [
        (5500, 6500),
        (6500, 7000),
    ]


@pytest.mark.parametrize("size", [0, 1, PIECE, len(OCTETS) - 1, len(OCTETS) + 1, 9 * len(OCTETS)])
async def test_size_need_not_be_true(account: Account, size: int) -> None:
    """RFC 9051 §7.5.2: the sizes that servers tell are not all right."""
    assert await read(account, extent(size=size)) == OCTETS


async def test_right_size_needs_no_question_whether_that_was_all(
    account: Account, server: Server
) -> None:
    await read(account, extent())
    assert len(server.windows) == len(OCTETS) // PIECE + 1


async def test_next_piece_is_asked_for_before_the_last_came_and_answers_may_overtake(
    account: Account, server: Server
) -> None:
    """RFC 9051 §5.5: it is the origin that says which question an answer is to."""
    held: list[Window] = []

    async def two_at_a_time(window: Window) -> bool:
        held.append(window)
        if len(held) == 2 or window.stop > len(OCTETS):
            for each in reversed(held):
                await each.right()
            held.clear()
        return True

    server.on_window = two_at_a_time
    assert await read(account, extent()) == OCTETS


async def test_slow_reader_keeps_no_connection_and_few_pieces(
    account: Account, server: Server
) -> None:
    async with aclosing(pieces.read(account, extent())) as found:
        octets = await anext(found)
        # The watcher has one of the two; the other one must come free.
        async with account.pool.connection(deadline=10.0) as connection:
            assert not connection.busy
            asked = len(server.windows)
            assert asked <= pieces._WINDOW + 1
            assert asked < len(OCTETS) // PIECE
        octets += b"".join([piece async for piece in found])
    assert octets == OCTETS
    assert server.scripted is not None
    assert server.scripted.connections == 2


async def test_reader_that_leaves_costs_no_connection(account: Account, server: Server) -> None:
    async with aclosing(pieces.read(account, extent())) as found:
        await anext(found)
    assert len(server.windows) <= pieces._WINDOW
    assert await read(account, extent()) == OCTETS
    assert server.scripted is not None
    assert server.scripted.connections == 2


async def test_reader_that_is_cancelled_leaves_the_account_usable(
    account: Account, server: Server
) -> None:
    waiting = asyncio.Event()

    async def silent(_window: Window) -> bool:
        waiting.set()
        return True

    server.on_window = silent
    task = asyncio.create_task(read(account, extent()))
    await waiting.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # as when the process ends: what is under way is not waited for any more
    with pytest.raises(asyncio.CancelledError):
        await task
    server.on_window = None
    assert await read(account, extent()) == OCTETS


# --- connections that are lost --------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 1, PIECE - 1, PIECE])
async def test_lost_connection_is_made_up_for(account: Account, server: Server, cut: int) -> None:
    """RFC 9051 §3: cut in the middle of a literal, the piece is read again by another one."""
    lost: list[int] = []

    async def cut_once(window: Window) -> bool:
        if window.start != 3 * PIECE or lost:
            return False
        lost.append(window.start)
        octets = OCTETS[window.start :][:cut]
        head = b"* 1 FETCH (UID %d BODY[]<%d> {%d}\r\n" % (window.uid, window.start, PIECE)
        await window.peer.send_raw(head + octets)
        window.peer.close()
        return True

    server.on_window = cut_once
    assert await read(account, extent()) == OCTETS
    assert lost
    asked = [window.start for window in server.windows]
    assert asked[0] == 0
    assert asked.count(0) == asked.count(PIECE) == 1


async def test_each_loss_is_made_up_for_if_something_came(
    account: Account, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A socket that is closed while a command waits in it takes along what it sent last.
    monkeypatch.setattr(pieces, "_PIPELINED", 1)
    seen: set[int] = set()

    async def cut_each_once(window: Window) -> bool:
        if window.start in seen:
            return False
        seen.add(window.start)
        window.peer.abort()
        return True

    server.on_window = cut_each_once
    assert await read(account, extent(0, 3 * PIECE)) == OCTETS[: 3 * PIECE]


async def test_connections_that_are_lost_at_once_are_an_error(
    account: Account, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §6.2: after what came, never instead of what did not."""
    monkeypatch.setattr(pieces, "_PIPELINED", 1)

    async def cut(window: Window) -> bool:
        if window.start >= 2 * PIECE:
            window.peer.abort()
            return True
        return False

    server.on_window = cut
    came = bytearray()
    with pytest.raises(ConnectionLost):
        await take(account, came)
    assert came == OCTETS[: 2 * PIECE]


# --- messages that go away, servers that give something else --------------------------------------


def uid_command(dovecot: Dovecot, user: User, *command: str) -> None:
    with dovecot.imap(user) as imap:
        imap.select("INBOX")
        imap.uid(*command)
        imap.expunge()


async def test_message_that_goes_away_is_an_error(
    account: Account, server: Server, dovecot: Dovecot, mailuser: User
) -> None:
    gone: list[bool] = []

    async def expunge(window: Window) -> bool:
        if window.start == 4 * PIECE and not gone:
            gone.append(True)
            store = ("STORE", "1", "+FLAGS", "(\\Deleted)")
            await asyncio.to_thread(uid_command, dovecot, mailuser, *store)
            window.peer.abort()  # a session that has it open may read it on
            return True
        return False

    server.on_window = expunge
    came = bytearray()
    with pytest.raises(MessageGone):
        await take(account, came)
    assert came == OCTETS[: 4 * PIECE]


async def test_message_that_is_moved_is_read_on(
    account: Account, server: Server, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8474 §5.1: it is the same message, with the same octets."""
    moved: list[bool] = []

    async def move(window: Window) -> bool:
        if window.start == 4 * PIECE and not moved:
            moved.append(True)
            await asyncio.to_thread(uid_command, dovecot, mailuser, "MOVE", "1", "Archive")
            window.peer.abort()
            return True
        return False

    server.on_window = move
    assert await read(account, extent()) == OCTETS
    assert moved


async def test_server_may_give_less_than_was_asked_for(account: Account, server: Server) -> None:
    """RFC 9051 §6.4.5: it should not, but the end is where there is nothing more."""

    async def stingy(window: Window) -> bool:
        await window.reply(OCTETS[window.start : min(window.stop, window.start + 700)])
        return True

    server.on_window = stingy
    assert await read(account, extent()) == OCTETS


@pytest.mark.parametrize("again", [True, False])
async def test_nothing_for_a_message_that_is_there_is_no_end(
    account: Account, server: Server, again: bool
) -> None:
    """RFC 9051 §7.5.2: NIL is no string of no octets."""
    told: list[int] = []

    async def nil(window: Window) -> bool:
        if window.start != 2 * PIECE or (told and not again):
            return False
        told.append(window.start)
        await window.reply(None)
        return True

    server.on_window = nil
    if again:
        with pytest.raises(MessageGone):
            await read(account, extent())
    else:
        assert await read(account, extent()) == OCTETS


async def test_refusal_is_an_error(account: Account, server: Server) -> None:
    """RFC 5530: the message is there, but the server can not read it."""

    async def refuse(window: Window) -> bool:
        await window.peer.send(b"%s NO [SERVERBUG] broken" % window.command.tag)
        return True

    server.on_window = refuse
    with pytest.raises(CommandRefused):
        await read(account, extent())


async def test_more_than_was_asked_for_is_an_error(account: Account, server: Server) -> None:
    """RFC 9051 §6.4.5: a server that does not know windows would send the same start for ever."""

    async def everything(window: Window) -> bool:
        await window.reply(OCTETS)
        return True

    server.on_window = everything
    with pytest.raises(ProtocolError):
        await read(account, extent())


async def test_mailbox_that_is_another_one_is_looked_at_anew(
    account: Account, server: Server
) -> None:
    """RFC 9051 §2.3.1.1: after UIDVALIDITY changed the same UID may be another message."""
    ((number, _),) = account.data.emails.placements(0)
    account.data.index.mailbox(number).uidvalidity += 1
    assert server.scripted is not None
    received = server.scripted.received
    before = len(received)
    assert await read(account, extent()) == OCTETS
    lines = [command.line for command in received[before:]]
    first = next(at for at, line in enumerate(lines) if _WINDOW.match(line))
    assert any(b"STATUS" in line for line in lines[:first])
