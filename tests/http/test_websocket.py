"""RFC 8887: requests over a WebSocket, and who may open one."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from gateway.http import ws_messages
from gateway.imap.errors import ConnectionLost
from gateway.jmap.errors import RequestError
from gateway.obs.metrics import WEBSOCKETS
from tests.http.harness import (
    CORE,
    MAIL,
    OTHER,
    USER,
    Backend,
    Client,
    Harness,
    basic,
    call,
    problem_of,
    server_config,
)
from tests.http.sockets import (
    HANDSHAKE,
    PATH,
    PING,
    PONG,
    SECONDS,
    TEXT,
    RawSocket,
    Socket,
    frame,
    request,
)

ECHO = ["Core/echo", {"a": 1}, "0"]


async def until_running(backend: Backend, number: int) -> None:
    async with asyncio.timeout(SECONDS):
        while backend.running < number:
            await asyncio.sleep(0)


# --- The handshake -------------------------------------------------------------------------------


async def test_session_tells_where_it_is(harness: Harness) -> None:
    for url, expected in (
        ("https://jmap.example.org", "wss://jmap.example.org/jmap/ws"),
        ("http://localhost:8080", "ws://localhost:8080/jmap/ws"),
    ):
        client = await harness.start(server_config(public_url=url))
        session = await (await client.get("/jmap/session", headers=basic())).json()
        capability = session["capabilities"]["urn:ietf:params:jmap:websocket"]
        assert capability == {"url": expected, "supportsPush": True}


async def test_subprotocol_is_agreed_on_and_nothing_else(client: Client) -> None:
    """No extension: what is compressed costs memory for each client (threat R26)."""
    headers = {**basic(), "Sec-WebSocket-Extensions": "permessage-deflate"}
    socket = await client.ws_connect(PATH, protocols=("x", "jmap"), headers=headers, compress=15)
    assert socket.protocol == "jmap"
    assert socket.compress == 0
    await socket.close()


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Sec-WebSocket-Protocol": "xmpp, jmap2"}, 400),
        ({"Sec-WebSocket-Protocol": ""}, 400),
        ({"Sec-WebSocket-Version": "12"}, 400),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Upgrade": "h2c"}, 426),
    ],
)
async def test_other_handshakes_are_refused(
    client: Client, changed: dict[str, str], status: int
) -> None:
    response = await client.get(PATH, headers={**HANDSHAKE, **basic(), **changed})
    await problem_of(response, status)


async def test_ordinary_requests_are_refused(client: Client) -> None:
    await problem_of(await client.get(PATH, headers=basic()), 426)
    assert (await client.head(PATH, headers=basic())).status == 426


@pytest.mark.threat("R26")
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_foreign_pages_are_refused_before_anything_else(
    client: Client, backend: Backend, origin: str
) -> None:
    """Threat R26: a browser opens WebSockets without asking, with a password it remembers."""
    headers = {**HANDSHAKE, **basic(), "Origin": origin}
    await problem_of(await client.get(PATH, headers=headers), 403)
    assert backend.addresses == []


async def test_own_and_listed_pages_may_open_one(harness: Harness) -> None:
    listed = "https://mail.example.org"
    client = await harness.start(server_config(cors_origins=[listed]))
    own = f"http://127.0.0.1:{client.port}"
    for origin in (listed, own):
        socket = await Socket.open(client, Origin=origin)
        await socket.ask(ECHO)
        assert (await socket.next())["@type"] == "Response"


@pytest.mark.threat("R26")
async def test_cookies_are_no_credentials(client: Client) -> None:
    """Threat R26."""
    headers = {**HANDSHAKE, "Cookie": f"Authorization={basic()['Authorization']}"}
    await problem_of(await client.get(PATH, headers=headers), 401)


# --- Requests ------------------------------------------------------------------------------------


async def test_request_is_answered_as_over_http(client: Client) -> None:
    socket = await Socket.open(client)
    await socket.ask(ECHO, ["Test/nothing", {}, "1"], id="R1")
    answer = await socket.next()
    assert (answer.pop("@type"), answer.pop("requestId")) == ("Response", "R1")
    posted = await (await call(client, ECHO, ["Test/nothing", {}, "1"])).json()
    assert answer == posted
    await socket.ask(ECHO)
    assert "requestId" not in await socket.next()


async def test_capability_may_be_named_by_a_request(client: Client) -> None:
    socket = await Socket.open(client)
    using = [CORE, "urn:ietf:params:jmap:websocket"]
    await socket.send(type="Request", using=using, methodCalls=[ECHO])
    assert (await socket.next())["@type"] == "Response"


async def test_answers_come_as_they_get_ready(client: Client, backend: Backend) -> None:
    """RFC 8887 §4.3.2."""
    socket = await Socket.open(client)
    await socket.ask(["Test/wait", {}, "0"], id="slow")
    await until_running(backend, 1)
    await socket.ask(ECHO, id="quick")
    assert (await socket.next())["requestId"] == "quick"
    backend.gate.set()
    assert (await socket.next())["requestId"] == "slow"


@pytest.mark.parametrize(
    ("message", "type", "id"),
    [
        ("The quick brown fox", "notJSON", None),
        ('{"@type":"Request","id":"a","id":"b"}', "notJSON", None),
        ("[" * 100 + "]" * 100, "notJSON", None),
        ("[]", "notRequest", None),
        ("{}", "notRequest", None),
        ('{"@type":"Response","id":"a"}', "notRequest", "a"),
        ('{"@type":"Request","id":7}', "notRequest", None),
        ('{"@type":"Request","id":"a"}', "notRequest", "a"),
        ('{"@type":"Request","id":"a","using":["x"],"methodCalls":[]}', "unknownCapability", "a"),
        ('{"using":[],"methodCalls":[],"id":"a"}', "notRequest", "a"),
        ('{"@type":"WebSocketPushEnable","dataTypes":"Email"}', "notRequest", None),
        ('{"@type":"WebSocketPushEnable","dataTypes":null,"pushState":1}', "notRequest", None),
    ],
)
async def test_bad_messages(client: Client, message: str, type: str, id: str | None) -> None:
    """RFC 8887 §4.3.4; the connection goes on."""
    socket = await Socket.open(client)
    await socket.socket.send_str(message)
    error = await socket.next()
    assert error["@type"] == "RequestError"
    assert error["requestId"] == id
    assert error["type"] == f"urn:ietf:params:jmap:error:{type}"
    assert error["status"] == 400
    await socket.echo()


async def test_too_many_calls(harness: Harness) -> None:
    client = await harness.start(max_calls_in_request=1)
    socket = await Socket.open(client)
    await socket.ask(ECHO, ECHO, id="a")
    error = await socket.next()
    assert (error["requestId"], error["limit"]) == ("a", "maxCallsInRequest")


async def test_requests_of_a_user_have_one_budget(harness: Harness, backend: Backend) -> None:
    """RFC 8887 §4.3.2: on all connections, over HTTP and WebSocket."""
    client = await harness.start(max_concurrent_requests=2)
    sockets = [await Socket.open(client), await Socket.open(client)]
    posts = [asyncio.create_task(call(client, ["Test/wait", {}, "0"])) for _ in range(3)]
    for socket in sockets:
        for _ in range(2):
            await socket.ask(["Test/wait", {}, "0"])
    await until_running(backend, 2)
    backend.gate.set()
    for socket in sockets:
        for _ in range(2):
            assert (await socket.next())["@type"] == "Response"
    assert [(await post).status for post in posts] == [200] * 3
    assert backend.most_running == 2


async def test_no_more_is_taken_than_can_wait(harness: Harness, backend: Backend) -> None:
    """The client's system can not send on; what it sent before is answered later."""
    client = await harness.start(max_concurrent_requests=1)
    socket = await RawSocket.open(client)
    body = {"@type": "Request", "using": [MAIL], "methodCalls": [["Test/wait", {}, "0"]]}
    request = frame(TEXT, orjson.dumps(body | {"x": "x" * 60_000}))
    backend.gate.clear()
    sent = 0
    socket.writer.transport.set_write_buffer_limits(high=0)
    while sent < 10_000:
        socket.writer.write(request)
        sent += 1
        try:
            async with asyncio.timeout(1):
                await socket.writer.drain()
        except TimeoutError:
            break
    assert 2 < sent < 1000
    backend.gate.set()
    for _ in range(sent):
        opcode, payload = await socket.frame()
        assert (opcode, orjson.loads(payload)["@type"]) == (TEXT, "Response")
    socket.writer.close()


async def test_error_in_a_method_is_no_end(client: Client) -> None:
    socket = await Socket.open(client)
    await socket.ask(["Test/crash", {}, "0"], id="a")
    [[name, error, _]] = (await socket.next())["methodResponses"]
    assert (name, error["type"]) == ("error", "serverFail")
    await socket.echo()


async def test_mail_server_that_is_away_is_told(client: Client, backend: Backend) -> None:
    """And the next request may find it again."""
    socket = await Socket.open(client)
    backend.active.clear()
    backend.broken = ConnectionLost("gone")
    await socket.ask(ECHO, id="a")
    error = await socket.next()
    assert (error["@type"], error["requestId"], error["status"]) == ("RequestError", "a", 503)
    await socket.enable()
    assert (await socket.next())["status"] == 503
    backend.broken = None
    await socket.echo()


@pytest.mark.parametrize("push", [True, False])
async def test_password_that_is_refused_later_ends_it(
    client: Client, backend: Backend, push: bool
) -> None:
    """RFC 8887 §4.2: 1008."""
    socket = await Socket.open(client)
    await socket.echo()
    backend.active.clear()
    backend.passwords[USER] = "another"
    await (socket.enable() if push else socket.ask(ECHO))
    assert await socket.close_code() == 1008


async def test_unexpected_error_is_told_without_its_text(
    client: Client, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def shared(*_: Any) -> Any:
        raise KeyError("canary-subject")

    socket = await Socket.open(client)
    monkeypatch.setattr(backend, "shared", shared)
    await socket.ask(ECHO, id="a")
    error = await socket.next()
    assert (error["status"], error["requestId"]) == (500, "a")
    assert "canary" not in str(error)


async def test_answer_has_arrived_when_what_follows_it_is_answered(
    client: Client, backend: Backend
) -> None:
    """A further request says nothing: it may have been on its way before."""
    socket = await RawSocket.open(client)
    for number in range(2):
        call: list[Any] = ["Test/tell", {"number": number}, "0"]
        socket.writer.write(frame(TEXT, request(methodCalls=[call])))
    frames = [await socket.frame() for _ in range(4)]
    pings = [payload for opcode, payload in frames if opcode == PING]
    assert len(pings) == 2
    assert backend.arrived == []
    for payload in (b"made up", pings[1], pings[1]):
        socket.writer.write(frame(PONG, payload))
    socket.writer.write(frame(TEXT, request()))
    assert (await socket.frame())[0] == TEXT
    assert backend.arrived == [{"number": 1}]
    socket.writer.close()


async def test_error_in_the_gateway_closes_with_1011(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = await Socket.open(client)
    await socket.echo()
    monkeypatch.setattr(ws_messages, "parse", None)
    await socket.socket.send_str("{}")
    assert await socket.close_code() == 1011


# --- The end -------------------------------------------------------------------------------------


async def test_newest_sockets_of_a_user_stay(harness: Harness) -> None:
    client = await harness.start(max_websockets=2)
    before = WEBSOCKETS._value.get()
    other = await Socket.open(client, **basic(OTHER))
    sockets = [await Socket.open(client) for _ in range(3)]
    assert await sockets[0].close_code() == 1013
    for socket in (other, *sockets[1:]):
        await socket.echo()
    assert WEBSOCKETS._value.get() == before + 3


async def test_shutdown_answers_what_was_asked(client: Client, backend: Backend) -> None:
    socket, idle = await Socket.open(client), await Socket.open(client)
    await socket.ask(["Test/wait", {}, "0"], id="a")
    await until_running(backend, 1)
    stopping = asyncio.create_task(client.server.close())
    assert await idle.close_code() == 1001
    backend.gate.set()
    assert (await socket.next())["requestId"] == "a"
    assert await socket.close_code() == 1001
    await stopping


async def test_client_that_goes_takes_its_reads_along(client: Client, backend: Backend) -> None:
    """What it has begun to write comes to its end (RFC 8620 §5.3)."""
    socket = await Socket.open(client)
    await socket.ask(["Test/wait", {}, "0"])
    await socket.ask(["Test/write", {}, "0"])
    await until_running(backend, 2)
    await socket.socket.close()
    async with asyncio.timeout(SECONDS):
        while backend.running > 1:
            await asyncio.sleep(0)
        backend.gate.set()
        while backend.finished < 1:
            await asyncio.sleep(0)
    assert backend.finished == 1


# --- Pure parts ----------------------------------------------------------------------------------


def test_push_objects() -> None:
    parsed = ws_messages.parse({"@type": "WebSocketPushEnable", "dataTypes": ["Email"]})
    assert parsed == ws_messages.PushEnable(frozenset({"Email"}), "")
    parsed = ws_messages.parse({"@type": "WebSocketPushEnable", "pushState": "s"})
    assert parsed == ws_messages.PushEnable(None, "s")
    assert ws_messages.parse({"@type": "WebSocketPushDisable"}) == ws_messages.PushDisable()
    with pytest.raises(RequestError, match="notRequest"):
        ws_messages.parse({"@type": ["Request"]})


def test_text_is_told_across_pieces() -> None:
    text = "ä" * 40_000
    assert ws_messages.is_text(b"x" + text.encode())
    assert not ws_messages.is_text(text.encode() + b"\xc3")
