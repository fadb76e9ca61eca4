"""RFC 8620 §7.3: the event source, over a fake account whose changes the test makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from aiohttp import ClientResponse, web
from aiohttp.abc import AbstractStreamWriter
from multidict import MultiDict
from yarl import URL

from gateway.http import eventsource
from gateway.http.eventsource import BadParameter, Parameters, parameters
from gateway.imap.errors import ConnectionLost
from gateway.obs.metrics import EVENT_STREAMS
from gateway.push import telling
from gateway.push.channels import Channel
from tests.http.harness import (
    MAIL,
    OTHER,
    USER,
    Backend,
    Client,
    FakeAccount,
    Harness,
    basic,
    call,
    problem_of,
    server_config,
)
from tests.push.reader import SECONDS, Event, Reader

PATH = "/jmap/eventsource?types=*&closeafter=no&ping=0"

Open = Callable[..., Awaitable[Reader]]


@pytest.fixture
def account(backend: Backend) -> FakeAccount:
    return backend.active.setdefault(USER, FakeAccount(USER))


@pytest.fixture(autouse=True)
def unspaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for what is there to spare clients."""
    monkeypatch.setattr(telling, "_SPACING_SECONDS", 0.0)


@pytest.fixture
async def connect(client: Client) -> AsyncIterator[Open]:
    """Give what opens streams of `account` and waits until they are watching."""
    responses: list[ClientResponse] = []

    async def connect(
        path: str = PATH, last: str | None = None, user: str = USER, via: Client = client
    ) -> Reader:
        headers = basic(user)
        if last is not None:
            headers["Last-Event-ID"] = last
        response = await via.get(path, headers=headers)
        responses.append(response)
        reader = Reader(response)
        if last is None:
            assert await reader.opened() is None
        return reader

    yield connect
    for response in responses:
        response.close()


# --- What is asked for ---------------------------------------------------------------------------


@pytest.mark.checklist("K16", "K17", "K18")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("types=*&closeafter=no&ping=0", Parameters(None, False, 0)),
        ("types=Email&closeafter=state&ping=60", Parameters(frozenset({"Email"}), True, 60)),
        (
            "types=Email,x:Foo,com.example.Bar&closeafter=no&ping=30&x=y",
            Parameters(frozenset({"Email", "x:Foo", "com.example.Bar"}), False, 30),
        ),
        ("types=%2A&closeafter=no&ping=300", Parameters(None, False, 300)),
        ("types=A%2CB&closeafter=no&ping=030", Parameters(frozenset({"A", "B"}), False, 30)),
        ("types=*&closeafter=no&ping=1", Parameters(None, False, 5)),
        ("types=*&closeafter=no&ping=301", Parameters(None, False, 300)),
        ("types=*&closeafter=no&ping=9007199254740991", Parameters(None, False, 300)),
    ],
)
def test_parameters(query: str, expected: Parameters) -> None:
    """A ping is never clamped to more than 30 or to less than 300."""
    assert parameters(MultiDict(URL("/?" + query).query)) == expected


@pytest.mark.checklist("K16", "K17", "K18")
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("types", ["", "*,Email", "Email,", ",Email", "Email,,Thread", "Email, Thread", "{types}"]),
        ("types", ["**", "Émail", "Email\n", "Email\0"]),
        ("closeafter", ["", "yes", "State", "state ", "no,state", "{closeafter}"]),
        ("ping", ["", "-1", "+1", "1.5", "1e3", "٣", " 1", "1\n", "0x10", "{ping}", "9" * 5000]),
    ],
)
async def test_malformed_parameters(client: Client, name: str, values: list[str]) -> None:
    good = {"types": "*", "closeafter": "no", "ping": "0"}
    for value in values:
        with pytest.raises(BadParameter, match=f'^"{name}" must'):
            parameters(MultiDict({**good, name: value}))
    for bad in (
        [*good.items(), (name, values[0])],  # twice
        [(key, value) for key, value in good.items() if key != name],
        [*{**good, name: values[0]}.items()],
    ):
        response = await client.get("/jmap/eventsource", params=bad, headers=basic())
        problem = await problem_of(response, 400)
        assert problem["detail"].startswith(f'"{name}" must')


# --- What is told --------------------------------------------------------------------------------


@pytest.mark.checklist("K03", "K16", "K19")
async def test_change_is_pushed_with_an_id(connect: Open, account: FakeAccount) -> None:
    reader = await connect()
    before = reader.parser.last_event_id
    account.change(Email="e1")
    event = await reader.next()
    assert event is not None
    assert event.name == "state"
    assert event.json == {"@type": "StateChange", "changed": {"aann": {"Email": "e1"}}}
    assert event.id not in ("", before)
    account.change(Email="e2", Mailbox="m2")
    assert await reader.state() == {"aann": {"Email": "e2", "Mailbox": "m2"}}


@pytest.mark.checklist("K16")
async def test_only_wanted_types_are_sent(connect: Open, account: FakeAccount) -> None:
    """A type that the server does not have, or not yet, is no error."""
    reader = await connect("/jmap/eventsource?types=Mailbox,Identity,Foo&closeafter=no&ping=0")
    account.change(Email="e1")
    account.change(Mailbox="m1", Email="e2")
    assert await reader.state() == {"aann": {"Mailbox": "m1"}}
    account.change(Email="e3")
    account.change(Identity="i1")
    assert await reader.state() == {"aann": {"Identity": "i1"}}


async def test_nothing_is_sent_of_types_that_nobody_has(
    client: Client, connect: Open, account: FakeAccount
) -> None:
    path = "/jmap/eventsource?types=Foo&closeafter=no&ping=0"
    reader = Reader(await client.get(path, headers=basic()))
    account.change(Email="e1")
    account.end()
    assert await reader.next() is None
    assert reader.parser.last_event_id == ""


async def test_woken_without_a_change_nothing_is_sent(connect: Open, account: FakeAccount) -> None:
    reader = await connect()
    account.change()
    [listener] = account.listeners
    while listener.woken.is_set():
        await asyncio.sleep(0)
    account.change(Email="e1")
    assert await reader.state() == {"aann": {"Email": "e1"}}
    account.end()
    assert await reader.next() is None


@pytest.mark.checklist("K17")
async def test_closeafter_state_ends_the_response(connect: Open, account: FakeAccount) -> None:
    reader = await connect("/jmap/eventsource?types=Mailbox&closeafter=state&ping=0")
    account.change(Email="e1")
    account.change(Mailbox="m1")
    assert await reader.state() == {"aann": {"Mailbox": "m1"}}
    assert await reader.next() is None
    assert account.listeners == []


@pytest.mark.checklist("K19")
@pytest.mark.parametrize("closeafter", ["no", "state"])
async def test_what_was_missed_is_sent_at_once(
    connect: Open, account: FakeAccount, closeafter: str
) -> None:
    first = await connect()
    account.change(Email="e1")
    await first.state()
    first.response.close()
    account.change(Mailbox="m1")
    path = f"/jmap/eventsource?types=*&closeafter={closeafter}&ping=0"
    second = await connect(path, last=first.parser.last_event_id)
    assert await second.state() == {"aann": {"Mailbox": "m1"}}
    account.change(Email="e2")
    if closeafter == "no":
        assert await second.state() == {"aann": {"Email": "e2"}}
    else:
        assert await second.next() is None


@pytest.mark.checklist("K19")
async def test_nothing_is_sent_where_nothing_was_missed(
    connect: Open, account: FakeAccount
) -> None:
    """Nor is the id lost, should the next connection break before anything happens."""
    first = await connect()
    account.change(Email="e1")
    await first.state()
    second = await connect(last=first.parser.last_event_id)
    assert await second.opened() is None
    assert second.parser.last_event_id == first.parser.last_event_id
    account.change(Mailbox="m1")
    assert await second.state() == {"aann": {"Mailbox": "m1"}}


@pytest.mark.checklist("K19")
async def test_client_that_was_told_nothing_misses_nothing(
    connect: Open, account: FakeAccount
) -> None:
    """Cut off before the first event, it still has an id to come back with."""
    first = await connect()
    first.response.close()
    account.change(Email="e1")
    second = await connect(last=first.parser.last_event_id)
    assert await second.state() == {"aann": {"Email": "e1"}}


@pytest.mark.checklist("K19")
@pytest.mark.parametrize("last", ["0", "\xff'; DROP TABLE", "A" * 8000])
async def test_unknown_id_makes_everything_new(
    connect: Open, account: FakeAccount, last: str
) -> None:
    """And is not heard of again."""
    reader = await connect(last=last)
    assert await reader.state() == {"aann": {"Email": "e0", "Mailbox": "m0"}}
    assert len(reader.parser.last_event_id) == 24


async def test_change_while_the_response_begins_is_not_lost(
    client: Client, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = web.StreamResponse.prepare

    async def late(
        self: web.StreamResponse, request: web.BaseRequest
    ) -> AbstractStreamWriter | None:
        account.change(Email="e1")
        return await prepare(self, request)

    monkeypatch.setattr(web.StreamResponse, "prepare", late)
    reader = Reader(await client.get(PATH, headers=basic()))
    assert await reader.state() == {"aann": {"Email": "e1"}}
    reader.response.close()


@pytest.mark.checklist("K19")
async def test_what_the_mail_server_has_for_us_is_told_at_once(
    connect: Open, account: FakeAccount
) -> None:
    """It happened while nobody looked."""

    async def look() -> None:
        account.change(Email="e1")

    account.look = look
    assert await (await connect(last="x")).state() == {"aann": {"Email": "e1", "Mailbox": "m0"}}


@pytest.mark.parametrize("error", [ConnectionLost("gone"), TimeoutError()])
async def test_mail_server_that_is_away_may_come_back(
    connect: Open, account: FakeAccount, error: Exception
) -> None:
    """Browsers would take an error for final."""

    async def look() -> None:
        raise error

    account.look = look
    reader = await connect()
    account.change(Email="e1")
    assert await reader.state() == {"aann": {"Email": "e1"}}


async def test_mail_server_that_is_slow_does_not_hold_up_the_shutdown(
    client: Client, account: FakeAccount
) -> None:
    async def look() -> None:
        await asyncio.Event().wait()

    account.look = look
    response = asyncio.create_task(client.get(PATH, headers=basic()))
    while not account.listeners:
        await asyncio.sleep(0)
    await client.server.close()
    assert await (await response).read() == b""


async def test_changes_that_follow_at_once_are_told_as_one(
    connect: Open, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §7: the frequency of pushes may be limited by the server."""
    monkeypatch.setattr(telling, "_SPACING_SECONDS", 0.1)
    reader = await connect()
    for number in range(1, 100):
        account.change(Email=f"e{number}")
        await asyncio.sleep(0)
    assert await reader.state() == {"aann": {"Email": "e99"}}
    account.end()
    assert await reader.next() is None


async def test_streams_of_one_user_and_of_others(connect: Open, account: FakeAccount) -> None:
    """RFC 8620 §8.2: each client hears what its own user may see."""
    one, two, other = [await connect(), await connect(), await connect(user=OTHER)]
    account.change(Email="e1")
    assert await one.state() == await two.state() == {"aann": {"Email": "e1"}}
    account.end()
    assert await one.next() is await two.next() is None
    other.response.close()


# --- Signs of life -------------------------------------------------------------------------------


@pytest.mark.checklist("K18")
async def test_ping(connect: Open, account: FakeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventsource, "_MAX_PING", 0.05)
    reader = await connect("/jmap/eventsource?types=*&closeafter=no&ping=30")
    last = reader.parser.last_event_id
    for _ in range(2):
        assert await reader.next() == Event("ping", '{"interval":0.05}', last)
    account.change(Email="e1")
    await reader.state()
    last = reader.parser.last_event_id
    assert await reader.next() == Event("ping", '{"interval":0.05}', last)


@pytest.mark.checklist("K18")
async def test_ping_is_due_so_long_after_the_last_event(
    connect: Open, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines: asyncio.Queue[float] = asyncio.Queue()
    until = Channel.until

    def observed(channel: Channel, moment: float) -> AbstractAsyncContextManager[None]:
        deadlines.put_nowait(moment)
        return until(channel, moment)

    clock = asyncio.get_running_loop().time
    monkeypatch.setattr(Channel, "until", observed)
    monkeypatch.setattr(eventsource, "_STALL_SECONDS", 10)  # not one of those looked for
    reader = await connect("/jmap/eventsource?types=*&closeafter=no&ping=30")
    for number in range(3):
        before = clock()
        account.change(Email=f"e{number + 1}")
        await reader.state()
        while (deadline := await deadlines.get()) < before + 30:
            pass
        assert deadline <= clock() + 30


@pytest.mark.checklist("K18")
@pytest.mark.parametrize("ping", [0, 300])
async def test_silence_is_broken_by_what_is_no_event(
    connect: Open, account: FakeAccount, monkeypatch: pytest.MonkeyPatch, ping: int
) -> None:
    """Proxies cut what is silent, and a client that is gone is known by writing to it only."""
    monkeypatch.setattr(eventsource, "_SILENCE_SECONDS", 0.01)
    reader = await connect(f"/jmap/eventsource?types=*&closeafter=no&ping={ping}")
    content = reader.response.content
    async with asyncio.timeout(SECONDS):
        assert [await content.readuntil(b"\n") for _ in range(3)] == [b":\n"] * 3
    account.change(Email="e1")
    assert await reader.state() == {"aann": {"Email": "e1"}}


# --- How it is sent ------------------------------------------------------------------------------


@pytest.mark.checklist("K16")
async def test_headers_keep_proxies_from_collecting_events(connect: Open) -> None:
    headers = (await connect()).response.headers
    assert headers["Content-Type"] == "text/event-stream"
    assert headers["Cache-Control"] == "no-cache, no-store, no-transform"
    assert headers["X-Accel-Buffering"] == "no"
    assert "Content-Encoding" not in headers
    assert "Content-Length" not in headers


async def test_first_octets_come_at_once_and_are_a_comment(client: Client) -> None:
    """Some clients see the headers only with them, or lose the first event."""
    response = await client.get(PATH, headers={**basic(), "Accept-Encoding": "gzip"})
    async with asyncio.timeout(SECONDS):
        assert await response.content.readuntil(b"\n") == b":\n"
    response.close()


async def test_clients_come_back_at_different_times(connect: Open) -> None:
    """After a restart all of them have to log in again."""
    times = {(await connect()).parser.retry for _ in range(10)}
    assert len(times) > 1
    assert all(time is not None and 2000 <= time <= 10_000 for time in times)


async def test_head_opens_no_stream(client: Client, account: FakeAccount) -> None:
    """RFC 9110 §9.3.2."""
    response = await client.head(PATH, headers=basic())
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    assert await response.read() == b""
    assert account.listeners == []
    response = await client.head("/jmap/eventsource", headers=basic())
    assert response.status == 400


async def test_page_of_an_allowed_origin_may_read_it(harness: Harness, connect: Open) -> None:
    """WHATWG Fetch §3.2; a script that connects again sends Last-Event-ID itself."""
    origin = "https://mail.example.org"
    client = await harness.start(server_config(cors_origins=[origin]))
    preflight = await client.options(PATH, headers={"Origin": origin})
    allowed = preflight.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Last-Event-ID"} <= set(allowed)
    response = await client.get(PATH, headers={"Origin": origin, **basic()})
    assert response.headers["Access-Control-Allow-Origin"] == origin
    response.close()


async def test_client_of_http_1_0(client: Client, account: FakeAccount) -> None:
    """nginx speaks it to what is behind it, if not told otherwise: no chunks then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    credentials = basic()["Authorization"]
    writer.write(f"GET {PATH} HTTP/1.0\r\nAuthorization: {credentials}\r\n\r\n".encode())
    async with asyncio.timeout(SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
        assert await reader.readline() == b":\n"
        account.change(Email="e1")
        await reader.readuntil(
            b'data: {"@type":"StateChange","changed":{"aann":{"Email":"e1"}}}\n\n'
        )
        account.end()
        assert await reader.read() == b""
    writer.close()
    assert b"chunked" not in head


# --- How it ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [True, False])
async def test_stream_ends_with_the_account(
    client: Client, connect: Open, account: FakeAccount, early: bool
) -> None:
    """The mail server refuses the credentials, or memory is short: the client connects again."""
    account.ended = early
    reader = await connect()
    account.end()
    assert await reader.next() is None
    assert account.listeners == []


async def test_client_that_goes_away_is_forgotten(connect: Open, account: FakeAccount) -> None:
    before = EVENT_STREAMS._value.get()
    reader = await connect()
    assert EVENT_STREAMS._value.get() == before + 1
    assert len(account.listeners) == 1
    reader.response.close()
    async with asyncio.timeout(SECONDS):
        while account.listeners:
            await asyncio.sleep(0)
    assert EVENT_STREAMS._value.get() == before


async def test_shutdown_ends_all_streams_at_once(
    client: Client, connect: Open, account: FakeAccount
) -> None:
    """Properly, not by the deadline for requests under way, which cuts the connection."""
    readers = [await connect(), await connect(), await connect(user=OTHER)]
    await client.server.close()
    for reader in readers:
        assert await reader.next() is None
    assert account.listeners == []


async def test_requests_have_their_slots_whatever_is_streamed(
    harness: Harness, connect: Open
) -> None:
    """RFC 8620 §2: maxConcurrentRequests is about API requests."""
    client = await harness.start(max_concurrent_requests=1)
    for _ in range(3):
        await connect(via=client)
    response = await call(client, ["Core/echo", {}, "0"], using=[MAIL])
    assert response.status == 200


async def test_newest_streams_of_a_user_stay(
    harness: Harness, connect: Open, account: FakeAccount
) -> None:
    """The oldest ends, and is told to come back late."""
    client = await harness.start(max_event_streams=2)
    other = await connect(via=client, user=OTHER)
    first, second, third = [await connect(via=client) for _ in range(3)]
    assert await first.next() is None
    assert first.parser.retry is not None
    assert first.parser.retry >= 60_000
    account.change(Email="e1")
    assert await second.state() == await third.state() == {"aann": {"Email": "e1"}}
    other.response.close()


# --- Clients that do not read --------------------------------------------------------------------

LARGE = "x" * (8 << 20)  # more than the system takes for a client that does not read


END = b"\r\n0\r\n\r\n"  # RFC 9112 §7.1: of a response in chunks


@asynccontextmanager
async def stalled(client: Client, account: FakeAccount) -> AsyncIterator[asyncio.StreamReader]:
    """Open a stream, and change a state that fills all buffers on its way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1 << 16)
    credentials = basic()["Authorization"]
    writer.write(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    await reader.readuntil(b"id: ")
    account.change(Email=LARGE)
    await reader.readuntil(b"data: ")
    yield reader
    writer.close()


async def test_slow_client_gets_the_latest_only(client: Client, account: FakeAccount) -> None:
    async with stalled(client, account) as reader, asyncio.timeout(SECONDS):
        for number in range(1, 1000):
            account.change(Email=f"e{number}")
            await asyncio.sleep(0)
        received = b""
        while b'{"Email":"e' not in received:
            octets = await reader.read(1 << 20)
            assert octets, "the stream goes on"
            received = received[-100:] + octets
        account.end()
        received += await reader.read()
    assert b'{"Email":"e999"}' in received
    assert received.count(b'{"Email":"e') == 1
    assert received.endswith(END)


async def test_client_that_takes_nothing_is_cut_off(
    client: Client, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventsource, "_STALL_SECONDS", 0.1)
    async with stalled(client, account) as reader, asyncio.timeout(SECONDS):
        while account.listeners:
            await asyncio.sleep(0)
        received = await reader.read()
    assert len(received) < len(LARGE)
    assert not received.endswith(END)


async def test_client_that_takes_nothing_does_not_hold_up_the_shutdown(
    client: Client, account: FakeAccount
) -> None:
    async with stalled(client, account):
        await client.server.close()
        assert account.listeners == []
