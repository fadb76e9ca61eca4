"""RFC 8620 §6.1: uploads over HTTP, by clients of every temper."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import FormData

from gateway.http import upload as module
from gateway.store.base import StoreUnavailable
from gateway.store.memory_durable import MemoryDurable
from gateway.sync.uploads import PENDING_SECONDS
from tests.http.harness import (
    CORE,
    OTHER,
    USER,
    Backend,
    Client,
    FakeAccount,
    Harness,
    basic,
    problem_of,
    server_config,
)

PATH = "/jmap/upload/aann"
LIMIT = "urn:ietf:params:jmap:error:limit"
OCTETS = bytes(range(256)) * 4096  # 1 MiB


async def chunked(octets: bytes, size: int = 50_000) -> AsyncIterator[bytes]:
    """Octets that are sent without telling before how many there are."""
    for start in range(0, len(octets), size):
        yield octets[start : start + size]


async def held(account: FakeAccount, blob_id: str) -> bytes | None:
    """The octets that are kept."""
    upload = await account.uploads.find(blob_id)
    if upload is None:
        return None
    return b"".join([chunk async for chunk in account.uploads.chunks(upload)])


def kept(account: FakeAccount) -> int:
    """How much there is of all uploads, complete or not."""
    return account.store.durable._held


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def account(backend: Backend) -> FakeAccount:
    """Give the account of USER, before the first login."""
    return backend.active.setdefault(USER, FakeAccount(USER))


@pytest.mark.checklist("J03")
@pytest.mark.parametrize("size", [0, 1, len(OCTETS)])
async def test_an_upload_is_answered_with_what_it_is_called(
    client: Client, backend: Backend, size: int
) -> None:
    headers = {**basic(), "Content-Type": "image/png"}
    for data in (OCTETS[:size], chunked(OCTETS[:size])):
        response = await client.post(PATH, data=data, headers=headers)
        assert response.status == 201
        assert response.content_type == "application/json"
        answer = await response.json()
        blob_id = answer.pop("blobId")
        assert answer == {"accountId": "aann", "type": "image/png", "size": size}
        assert await held(backend.active[USER], blob_id) == OCTETS[:size]


@pytest.mark.checklist("J03")
@pytest.mark.parametrize(
    ("sent", "type_"),
    [
        ("text/plain; charset=utf-8", "text/plain"),
        ("Message/RFC822", "message/rfc822"),
        ("application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
        ("", "application/octet-stream"),
        ("nonsense", "application/octet-stream"),
        ("text/", "application/octet-stream"),
        ("a/b/c", "application/octet-stream"),
        ("text/<script>", "application/octet-stream"),
    ],
)
async def test_the_type_is_what_the_client_says_without_parameters(
    client: Client, sent: str, type_: str
) -> None:
    """RFC 6838 §4.2: a type and a subtype; and nothing is guessed from the octets."""
    response = await client.post(PATH, data=b"<html>", headers={**basic(), "Content-Type": sent})
    assert (await response.json())["type"] == type_


async def test_without_a_content_type_it_is_octets(client: Client) -> None:
    response = await client.post(
        PATH, data=b"x", headers=basic(), skip_auto_headers=["Content-Type"]
    )
    assert (await response.json())["type"] == "application/octet-stream"


async def test_a_form_is_kept_as_it_is(client: Client, backend: Backend) -> None:
    """RFC 8620 §6.1: the body of the request is the file."""
    form = FormData({"file": "x"}, default_to_multipart=True)
    response = await client.post(PATH, data=form, headers=basic())
    answer = await response.json()
    assert answer["type"] == "multipart/form-data"
    octets = await held(backend.active[USER], answer["blobId"])
    assert octets is not None
    assert b"\r\nContent-Disposition: form-data" in octets


# --- who may --------------------------------------------------------------------------------------


@pytest.mark.threat("R10")
@pytest.mark.checklist("J09")
@pytest.mark.parametrize("account_id", ["abob", "aunknown", "%00"])
async def test_accounts_of_others_look_like_none(
    client: Client, backend: Backend, account_id: str
) -> None:
    """R10."""
    theirs = backend.active.setdefault(OTHER, FakeAccount(OTHER))
    response = await client.post(f"/jmap/upload/{account_id}", data=b"x", headers=basic())
    await problem_of(response, 404)
    assert kept(theirs) == 0


@pytest.mark.parametrize("origin", ["https://evil.test", "null"])
async def test_foreign_pages_can_not_send(harness: Harness, origin: str) -> None:
    """Fetch §2.2.2: without asking first, and with the password that a browser remembers."""
    client = await harness.start(server_config(cors_origins=["https://mail.test"]))
    headers = {**basic(), "Content-Type": "text/plain"}
    refused = await client.post(PATH, data=b"x", headers={**headers, "Origin": origin})
    await problem_of(refused, 403)
    assert harness.backend.active == {}
    taken = await client.post(PATH, data=b"x", headers={**headers, "Origin": "https://mail.test"})
    assert taken.status == 201
    assert taken.headers["Access-Control-Allow-Origin"] == "https://mail.test"


@pytest.mark.threat("R22")
async def test_compressed_uploads_are_refused(client: Client) -> None:
    """RFC 9110 §15.5.16: the blob would not be what the client thinks it is."""
    headers = {**basic(), "Content-Encoding": "gzip"}
    await problem_of(await client.post(PATH, data=b"x", headers=headers), 415)


# --- too much -------------------------------------------------------------------------------------


@pytest.mark.checklist("J11")
async def test_more_than_max_size_upload_is_refused_however_it_is_sent(
    harness: Harness, backend: Backend
) -> None:
    client = await harness.start(max_size_upload=300_000)
    for data in (bytes(300_001), chunked(bytes(300_001)), chunked(OCTETS)):
        response = await client.post(PATH, data=data, headers=basic())
        problem = await problem_of(response, 413)
        assert (problem["type"], problem["limit"]) == (LIMIT, "maxSizeUpload")
    assert kept(backend.active[USER]) == 0
    assert (await client.post(PATH, data=chunked(bytes(300_000)), headers=basic())).status == 201


class Raw:
    """A client that does as it likes with the connection."""

    def __init__(self, client: Client) -> None:
        assert client.port is not None
        self._port = client.port

    async def begin(self, *fields: str, user: str = USER) -> None:
        """Send the head of an upload."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = [f"POST {PATH} HTTP/1.1", "Host: x", *fields]
        head += [f"{name}: {value}" for name, value in basic(user).items()]
        self.writer.write("\r\n".join([*head, "", ""]).encode())

    async def answer(self) -> bytes:
        """Give the head of the next answer."""
        async with asyncio.timeout(20):
            return await self.reader.readuntil(b"\r\n\r\n")


@pytest.fixture
def raw(client: Client) -> Raw:
    return Raw(client)


@pytest.mark.checklist("J11")
async def test_more_at_once_than_max_concurrent_upload_wait_and_then_are_refused(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.1)
    client = await harness.start(max_concurrent_upload=2)
    running = [Raw(client), Raw(client)]
    for each in running:
        await each.begin("Expect: 100-continue", "Content-Length: 10")
        await each.answer()
    problem = await problem_of(await client.post(PATH, data=b"x", headers=basic()), 400)
    assert (problem["type"], problem["limit"]) == (LIMIT, "maxConcurrentUpload")
    other = await client.post("/jmap/upload/abob", data=b"x", headers=basic(OTHER))
    assert other.status == 201
    running[0].writer.write(b"1234567890")
    assert (await running[0].answer()).startswith(b"HTTP/1.1 201 ")
    assert (await client.post(PATH, data=b"x", headers=basic())).status == 201
    for each in running:
        each.writer.close()


# --- clients that lie, wait or go away ------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (["Content-Length: 2000000"], OCTETS),
        (["Transfer-Encoding: chunked"], b"100000\r\n" + OCTETS + b"\r\n"),
        (["Transfer-Encoding: chunked"], b"1000000\r\n" + OCTETS),
    ],
    ids=["in its length", "between chunks", "in a chunk"],
)
@pytest.mark.parametrize("aborts", [True, False])
async def test_a_client_that_hangs_up_leaves_nothing(
    raw: Raw, account: FakeAccount, fields: list[str], body: bytes, aborts: bool
) -> None:
    """F14: and what came is not taken for the whole."""
    await raw.begin(*fields)
    raw.writer.write(body)
    await until(lambda: kept(account) > len(OCTETS) // 2)
    if aborts:
        raw.writer.transport.abort()
    else:
        raw.writer.write_eof()
    await until(lambda: kept(account) == 0)
    raw.writer.close()


async def test_chunks_that_are_none_are_no_end(
    raw: Raw, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9112 §7.1: nor is anything after them."""
    monkeypatch.setattr(module, "_STALL_SECONDS", 0.1)
    await raw.begin("Transfer-Encoding: chunked")
    raw.writer.write(b"80000\r\n" + OCTETS[:0x80000] + b"\r\nno length\r\n0\r\n\r\n")
    assert (await raw.answer()).startswith(b"HTTP/1.1 4")
    assert kept(account) == 0
    raw.writer.close()


async def test_a_client_that_stops_sending_is_given_up(
    raw: Raw, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9110 §15.5.9."""
    monkeypatch.setattr(module, "_STALL_SECONDS", 0.1)
    await raw.begin("Content-Length: 2000000")
    raw.writer.write(OCTETS)
    assert (await raw.answer()).startswith(b"HTTP/1.1 408 ")
    assert kept(account) == 0
    raw.writer.close()


async def test_a_client_that_is_slow_for_ever_is_given_up(
    raw: Raw, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first pieces go by themselves."""
    assert module._UPLOAD_SECONDS < PENDING_SECONDS
    monkeypatch.setattr(module, "_UPLOAD_SECONDS", 0.3)
    await raw.begin("Content-Length: 2000000")

    async def trickle() -> None:
        while True:
            raw.writer.write(b"x")
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    assert (await raw.answer()).startswith(b"HTTP/1.1 408 ")
    trickling.cancel()
    assert kept(account) == 0
    raw.writer.close()


async def test_who_waits_to_be_asked_sends_nothing_in_vain(raw: Raw, client: Client) -> None:
    """RFC 9110 §10.1.1: a file that is too large is not sent at all."""
    await raw.begin("Expect: 100-continue", "Content-Length: 60000000")
    assert (await raw.answer()).startswith(b"HTTP/1.1 413 ")
    raw.writer.close()
    await raw.begin("Expect: 100-continue", "Content-Length: 5", user="nobody")
    assert (await raw.answer()).startswith(b"HTTP/1.1 401 ")
    raw.writer.close()
    await raw.begin("Expect: 100-Continue", "Content-Length: 5")
    assert await raw.answer() == b"HTTP/1.1 100 Continue\r\n\r\n"
    raw.writer.write(b"12345")
    assert (await raw.answer()).startswith(b"HTTP/1.1 201 ")
    raw.writer.close()
    await raw.begin("Expect: wonders", "Content-Length: 5")
    assert (await raw.answer()).startswith(b"HTTP/1.1 417 ")
    raw.writer.close()


async def test_who_waits_to_be_asked_calls_methods_too(client: Client) -> None:
    """RFC 9110 §10.1.1: of every endpoint that reads a body."""
    body = {"using": [CORE], "methodCalls": [["Core/echo", {}, "0"]]}
    response = await client.post("/jmap/api", json=body, headers=basic(), expect100=True)
    assert response.status == 200


# --- a store that fails ---------------------------------------------------------------------------


async def test_a_store_that_fails_is_told_as_that(
    client: Client, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F6, F14: 503 with Retry-After, and nothing half."""
    write = MemoryDurable.write
    left = 3

    async def fail(self: MemoryDurable, *arguments: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise StoreUnavailable("sqlite", "/secret/path: disk full")
        await write(self, *arguments)

    monkeypatch.setattr(MemoryDurable, "write", fail)
    response = await client.post(PATH, data=OCTETS, headers=basic())
    problem = await problem_of(response, 503)
    assert int(response.headers["Retry-After"]) > 0
    assert "secret" not in str(problem)
    assert kept(account) == 0
