"""RFC 8887: the whole gateway over a WebSocket, in front of a real IMAP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from gateway.app import running
from tests.app.harness import MAIL, USING, Client, client_of, settings
from tests.push.reader import SECONDS, Reader
from tests.servers.dovecot import Dovecot, User
from tests.servers.redis import Redis

NEW_MAIL = frozenset({"Email", "EmailDelivery", "Mailbox", "Thread"})
STREAM = "/jmap/eventsource?types=*&closeafter=no&ping=0"


def letter(number: int) -> bytes:
    return (
        f"From: ann@example.test\r\nSubject: {number}\r\nMessage-ID: <{number}@example.test>\r\n"
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nHello\r\n"
    ).encode()


class Socket:
    """A client of the user whose WebSocket this is."""

    def __init__(self, client: Client, socket: ClientWebSocketResponse) -> None:
        self.client = client
        self.socket = socket

    async def send(self, message: dict[str, Any]) -> None:
        await self.socket.send_str(orjson.dumps(message).decode())

    async def next(self) -> dict[str, Any]:
        message = await self.socket.receive(timeout=SECONDS)
        assert message.type is WSMsgType.TEXT, message
        value: dict[str, Any] = orjson.loads(message.data)
        return value

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Give the answer to one call; what is pushed meanwhile is passed over."""
        call = [method, {"accountId": self.client.account_id, **arguments}, "0"]
        await self.send({"@type": "Request", "id": method, "using": USING, "methodCalls": [call]})
        while (answer := await self.next()).get("requestId") != method:
            assert answer["@type"] == "StateChange"
        [[name, result, _]] = answer["methodResponses"]
        assert name == method, result
        assert isinstance(result, dict)
        return result

    async def enable(self, state: str | None = None) -> None:
        enable = {"@type": "WebSocketPushEnable", "dataTypes": None}
        await self.send(enable if state is None else {**enable, "pushState": state})

    async def heard(self, types: Set[str]) -> str:
        """Wait until these types are told of; give the state after that."""
        told: set[str] = set()
        while True:
            change = await self.next()
            assert change["@type"] == "StateChange"
            told |= set(change["changed"][self.client.account_id])
            if types <= told:
                state: str = change["pushState"]
                return state


@asynccontextmanager
async def connected(client: Client) -> AsyncIterator[Socket]:
    """Give a WebSocket as the Session object says where it is."""
    session = await client.session()
    url = session["capabilities"]["urn:ietf:params:jmap:websocket"]["url"]
    async with client.http.ws_connect(
        url, protocols=("jmap",), headers=client.headers, max_msg_size=0
    ) as socket:
        yield Socket(client, socket)


@pytest.fixture
async def client(dovecot: Dovecot, mailuser: User, tmp_path: Path) -> AsyncIterator[Client]:
    """Give a client of a new gateway, for a user with a message, which is indexed."""
    dovecot.append(mailuser, "INBOX", letter(0))
    async with client_of(settings(dovecot, tmp_path), mailuser) as client:
        await client.call("Email/query", sort=[{"property": "subject"}])
        yield client


async def test_mail_is_read_and_written(client: Client) -> None:
    async with connected(client) as socket:
        [id] = (await socket.call("Email/query"))["ids"]
        answer = await socket.call("Email/set", update={id: {"keywords/$seen": True}})
        assert answer["updated"] == {id: None}
        [email] = (await socket.call("Email/get", ids=[id], properties=["keywords"]))["list"]
        assert email["keywords"] == {"$seen": True}


@pytest.mark.checklist("K02", "K03")
async def test_new_mail_is_pushed(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    async with connected(client) as socket:
        await socket.enable()
        dovecot.append(mailuser, "INBOX", letter(1))
        await socket.heard(NEW_MAIL)
        assert len((await socket.call("Email/query"))["ids"]) == 2


@pytest.mark.checklist("K03")
async def test_what_was_missed_is_told(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    async with connected(client) as socket:
        await socket.enable()
        dovecot.append(mailuser, "INBOX", letter(1))
        state = await socket.heard(NEW_MAIL)
    dovecot.append(mailuser, "INBOX", letter(2))
    async with connected(client) as socket:
        await socket.enable(state)
        await socket.heard(NEW_MAIL)


async def test_password_that_was_changed_ends_it(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """The client connects again, and hears then that it is not let in."""
    async with connected(client) as socket:
        await socket.enable()
        await socket.call("Email/query")
        dovecot.add_user(mailuser.username, password="another")
        dovecot.doveadm("auth", "cache", "flush")
        ended = asyncio.create_task(socket.socket.receive(timeout=SECONDS))
        while not ended.done():
            with suppress(CalledProcessError):  # there is no connection at the moment
                dovecot.doveadm("kick", mailuser.username)
            await asyncio.wait([ended], timeout=1)
        assert (await ended).type is WSMsgType.CLOSE
        assert socket.socket.close_code == 1001
    assert (await client.get("/jmap/ws")).status == 401


async def test_gateway_that_stops_says_so(dovecot: Dovecot, mailuser: User, tmp_path: Path) -> None:
    async with ClientSession() as http:
        async with running(settings(dovecot, tmp_path)) as url:
            client = Client(http, url, mailuser)
            await client.session()
            socket = await http.ws_connect(
                f"{url}/jmap/ws", protocols=("jmap",), headers=client.headers
            )
            await Socket(client, socket).enable()
            ended = asyncio.create_task(socket.receive(timeout=SECONDS))
        assert (await ended).data == 1001


async def test_ticket_of_another_node(
    dovecot: Dovecot, mailuser: User, tmp_path: Path, redis_server: Redis
) -> None:
    """Design §12: any node can serve any account; it has not seen the password yet."""
    a, b = (
        settings(
            dovecot,
            tmp_path / name,
            JMAP_GATEWAY_STORE__URL=redis_server.url,
            JMAP_GATEWAY_STORE__SECRET="f" * 64,
        )
        for name in ("a", "b")
    )
    async with client_of(a, mailuser) as one, client_of(b, mailuser) as two:
        response = await one.http.post(f"{one.url}/jmap/ticket", headers=one.headers)
        url = f"{two.url}{STREAM}&ticket={(await response.json())['ticket']}"
        stream = await two.http.get(url)
        await Reader(stream).opened()
        stream.close()
        assert (await two.http.get(url)).status == 401
        assert (await one.http.get(url.replace(two.url, one.url))).status == 401
        session = await two.session()
        assert session["primaryAccounts"][MAIL]
