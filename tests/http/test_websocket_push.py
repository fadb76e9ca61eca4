"""RFC 8887 §4.3.5: pushes over a WebSocket, of a fake account whose changes the test makes."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from gateway.http import ws_connection
from gateway.push import telling
from gateway.sync.errors import NotCommitted
from tests.http.harness import OTHER, USER, Backend, Client, FakeAccount, basic
from tests.http.sockets import CLOSE, SECONDS, TEXT, RawSocket, Socket, frame

LARGE = "x" * (8 << 20)  # more than the system takes for a client that does not read


@pytest.fixture
def account(backend: Backend) -> FakeAccount:
    return backend.active.setdefault(USER, FakeAccount(USER))


@pytest.fixture(autouse=True)
def unspaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for what is there to spare clients."""
    monkeypatch.setattr(telling, "_SPACING_SECONDS", 0.0)


async def watched(account: FakeAccount, number: int = 1) -> None:
    """Wait until so many listen, and have had their first look."""
    async with asyncio.timeout(SECONDS):
        while len(account.listeners) != number:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)


async def enabled(client: Client, account: FakeAccount, *types: str) -> Socket:
    """Give a socket on which pushes are on."""
    number = len(account.listeners) + 1
    socket = await Socket.open(client)
    await socket.enable([*types] or None)
    await watched(account, number)
    return socket


async def changed(socket: Socket) -> dict[str, Any]:
    """Give what the next message tells, which is a StateChange."""
    message = await socket.next()
    assert message["@type"] == "StateChange", message
    assert message["pushState"] != ""
    result: dict[str, Any] = message["changed"]
    return result


@pytest.mark.checklist("K03")
async def test_change_is_pushed(client: Client, account: FakeAccount) -> None:
    socket = await enabled(client, account)
    account.change(Email="e1")
    message = await socket.next()
    assert message.pop("pushState") != ""
    assert message == {"@type": "StateChange", "changed": {"aann": {"Email": "e1"}}}
    account.change(Email="e2", Mailbox="m2")
    assert await changed(socket) == {"aann": {"Email": "e2", "Mailbox": "m2"}}


async def test_nothing_is_pushed_unless_wanted(client: Client, account: FakeAccount) -> None:
    """Nor is the account followed, which would keep it in memory."""
    socket = await Socket.open(client)
    await socket.echo()
    account.change(Email="e1")
    assert account.listeners == []
    await socket.ask(["Core/echo", {}, "0"])
    assert (await socket.next())["@type"] == "Response"


async def test_only_wanted_types_are_pushed(client: Client, account: FakeAccount) -> None:
    socket = await enabled(client, account, "Mailbox", "Foo")
    account.change(Email="e1")
    account.change(Mailbox="m1", Email="e2")
    assert await changed(socket) == {"aann": {"Mailbox": "m1"}}


async def test_disabled_again(client: Client, account: FakeAccount) -> None:
    socket = await enabled(client, account)
    await socket.send(type="WebSocketPushDisable")
    await socket.echo()
    assert account.listeners == []
    account.change(Email="e1")
    await socket.send(type="WebSocketPushDisable")
    await socket.ask(["Core/echo", {}, "0"])
    assert (await socket.next())["@type"] == "Response"
    await socket.enable()
    await watched(account)
    account.change(Email="e2")
    assert await changed(socket) == {"aann": {"Email": "e2"}}


async def test_what_was_missed_is_told_at_once(client: Client, account: FakeAccount) -> None:
    first = await enabled(client, account)
    account.change(Email="e1")
    state = (await first.next())["pushState"]
    await first.socket.close()
    account.change(Mailbox="m1")
    second = await Socket.open(client)
    await second.enable(pushState=state)
    assert await changed(second) == {"aann": {"Mailbox": "m1"}}


async def test_nothing_is_told_where_nothing_was_missed(
    client: Client, account: FakeAccount
) -> None:
    first = await enabled(client, account)
    account.change(Email="e1")
    state = (await first.next())["pushState"]
    second = await Socket.open(client)
    await second.enable(pushState=state)
    await watched(account, 2)
    account.change(Mailbox="m1")
    assert await changed(second) == {"aann": {"Mailbox": "m1"}}


@pytest.mark.parametrize("state", ["0", "\N{SNOWMAN}", "A" * 8000])
async def test_unknown_state_makes_everything_new(
    client: Client, account: FakeAccount, state: str
) -> None:
    socket = await Socket.open(client)
    await socket.enable(pushState=state)
    assert await changed(socket) == {"aann": {"Email": "e0", "Mailbox": "m0"}}


async def test_changed_filter_replaces_the_old_one(client: Client, account: FakeAccount) -> None:
    """What happens at that moment is not passed over."""
    socket = await enabled(client, account, "Email")
    account.types |= {"Email": "e1"}
    await socket.enable(["Email", "Identity"])
    assert await changed(socket) == {"aann": {"Email": "e1"}}
    await watched(account)
    account.change(Mailbox="m1", Identity="i1")
    assert await changed(socket) == {"aann": {"Identity": "i1"}}


async def test_each_client_hears_of_its_own_user(client: Client, account: FakeAccount) -> None:
    """RFC 8620 §8.2."""
    other = await Socket.open(client, **basic(OTHER))
    await other.enable()
    one, two = await enabled(client, account), await enabled(client, account)
    account.change(Email="e1")
    assert await changed(one) == await changed(two) == {"aann": {"Email": "e1"}}
    await other.echo()


async def test_pushes_and_answers_share_the_socket(
    client: Client, account: FakeAccount, backend: Backend
) -> None:
    socket = await enabled(client, account)
    await socket.ask(["Test/wait", {}, "0"], id="a")
    account.change(Email="e1")
    assert await changed(socket) == {"aann": {"Email": "e1"}}
    backend.gate.set()
    assert (await socket.next())["requestId"] == "a"


async def test_account_that_ends_lets_the_client_connect_again(
    client: Client, account: FakeAccount
) -> None:
    socket = await enabled(client, account)
    account.end()
    assert await socket.close_code() == 1001
    assert account.listeners == []


async def test_shutdown_ends_pushes(client: Client, account: FakeAccount) -> None:
    socket = await enabled(client, account)
    stopping = asyncio.create_task(client.server.close())
    assert await socket.close_code() == 1001
    await stopping
    assert account.listeners == []


async def test_store_that_fails_has_the_client_come_back(
    client: Client, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def follow(*_: Any) -> Any:
        raise NotCommitted("the store fails")

    monkeypatch.setattr(backend, "follow", follow)
    socket = await Socket.open(client)
    await socket.enable()
    assert await socket.close_code() == 1013


async def stalled(client: Client, account: FakeAccount) -> RawSocket:
    """Enable pushes, and change a state that fills all buffers on its way."""
    socket = await RawSocket.open(client)
    body = {"@type": "WebSocketPushEnable", "dataTypes": None}
    socket.writer.write(frame(TEXT, orjson.dumps(body)))
    await watched(account)
    account.change(Email=LARGE)
    await socket.reader.readexactly(1)
    return socket


async def test_slow_client_gets_the_latest_only(client: Client, account: FakeAccount) -> None:
    socket = await stalled(client, account)
    for number in range(1, 1000):
        account.change(Email=f"e{number}")
        await asyncio.sleep(0)
    received = b""
    async with asyncio.timeout(SECONDS):
        while b'{"Email":"e' not in received:
            octets = await socket.reader.read(1 << 20)
            assert octets, "the connection goes on"
            received = received[-100:] + octets
        account.end()
        socket.writer.write(frame(CLOSE, b""))
        received += await socket.gone()
    assert b'{"Email":"e999"}' in received
    assert received.count(b'{"Email":"e') == 1


async def test_client_that_takes_nothing_is_cut_off(
    client: Client, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ws_connection, "_STALL_SECONDS", 0.1)
    socket = await stalled(client, account)
    async with asyncio.timeout(SECONDS):
        while account.listeners:
            await asyncio.sleep(0)
        assert len(await socket.gone()) < len(LARGE)


async def test_client_that_takes_nothing_does_not_hold_up_the_shutdown(
    client: Client, account: FakeAccount
) -> None:
    await stalled(client, account)
    await client.server.close()
    assert account.listeners == []
