"""RFC 9110 §13, §14: ranges of a download, and the conditions they come with."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientConnectionError, ClientPayloadError
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.http import ranges
from gateway.http.ranges import Range, Unsatisfiable
from gateway.imap.errors import ConnectionLost
from gateway.mail.blob import BlobTooLarge
from gateway.sync.errors import MessageGone
from tests.http.harness import Backend, Client, FakeBlob, basic, problem_of

OCTETS = bytes(range(256)) * 8
CHUNK = 100
PATH = "/jmap/download/aann/m1/film.mp4?type=video/mp4"
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-site",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, immutable, max-age=31536000",
    "ETag": '"m1"',
}


@pytest.fixture(autouse=True)
def blob(backend: Backend) -> FakeBlob:
    """Give the blob `m1` of the account `aann`."""
    chunks = [OCTETS[at : at + CHUNK] for at in range(0, len(OCTETS), CHUNK)]
    blob = FakeBlob(chunks, len(OCTETS))
    backend.blobs["aann", "m1"] = blob
    return blob


# --- RFC 9110 §14.1.2, §14.2: the field -----------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        ("bytes=0-0", Range(0, 0)),
        ("bytes=5-", Range(5, None)),
        ("bytes=-5", Range(None, 5)),
        ("Bytes = 5-7 ", Range(5, 7)),
        ("bytes=,5-7,", Range(5, 7)),  # RFC 9110 §5.6.1.2: empty elements of a list
        ("bytes=00-" + "9" * 4000, Range(0, int("9" * 4000))),
    ],
)
def test_range_is_read(header: str, asked: Range) -> None:
    assert ranges.parse(header) == asked


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=7-5", "bytes=1-2,4-5"),
        *("lines=1-2", "bytes=1", "bytes=1-2-3", "bytes=+1-2", "bytes=1 - 2", "bytes=٣-"),
        "bytes=" + "9" * 5000,
    ],
)
def test_range_that_is_not_one_is_ignored(header: str | None) -> None:
    """RFC 9110 §14.2: an unknown unit or an invalid field is as none; several are not served."""
    assert ranges.parse(header) is None


@example(Range(None, 0), 5)
@example(Range(None, 5), 0)
@example(Range(0, None), 0)
@given(
    st.builds(Range, st.integers(0, 30), st.none() | st.integers(30, 60))
    | st.builds(Range, st.none(), st.integers(0, 30)),
    st.integers(0, 40),
)
def test_range_is_resolved_as_a_slice(asked: Range, size: int) -> None:
    octets = bytes(size)
    if asked.first is None:
        wanted = octets[size - min(asked.last or 0, size) :]
    else:
        wanted = octets[asked.first : None if asked.last is None else asked.last + 1]
    try:
        start, stop = asked.resolve(size)
    except Unsatisfiable:
        assert not wanted
        return
    assert 0 <= start < stop <= size
    assert octets[start:stop] == wanted
    assert start == size - len(wanted) if asked.first is None else start == asked.first


# --- RFC 9110 §15.3.7, §15.5.17: the answer -------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=150-349", 150, 350),
        ("bytes=2000-", 2000, 2048),
        ("bytes=2000-9999", 2000, 2048),
        ("bytes=-48", 2000, 2048),
        ("bytes=-9999", 0, 2048),
        ("bytes=0-2047", 0, 2048),
    ],
)
async def test_range_is_sent(
    client: Client, blob: FakeBlob, header: str, start: int, stop: int, known: bool
) -> None:
    """RFC 9110 §15.3.7.1. Octets that nobody has counted yet are counted for it."""
    if not known:
        blob.size = None
    response = await client.get(PATH, headers={**basic(), "Range": header})
    assert response.status == 206
    assert await response.read() == OCTETS[start:stop]
    assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/2048"
    assert response.headers["Content-Length"] == str(stop - start)
    assert response.headers["Content-Type"] == "video/mp4"
    assert response.headers["Content-Disposition"] == 'attachment; filename="film.mp4"'
    assert {name: response.headers[name] for name in SAFE} == SAFE


async def test_what_is_before_a_range_is_not_read(client: Client, blob: FakeBlob) -> None:
    response = await client.get(PATH, headers={**basic(), "Range": "bytes=1950-"})
    assert await response.read() == OCTETS[1950:]
    assert blob.taken == 2


@pytest.mark.parametrize("header", ["bytes=2048-", "bytes=9999-10000", "bytes=-0"])
async def test_range_of_nothing_is_refused(client: Client, blob: FakeBlob, header: str) -> None:
    """RFC 9110 §15.5.17: with the size, so that the client can ask again."""
    response = await client.get(PATH, headers={**basic(), "Range": header})
    await problem_of(response, 416)
    assert response.headers["Content-Range"] == "bytes */2048"
    assert {name: response.headers[name] for name in SAFE} == SAFE
    assert blob.taken == 0


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "bytes=5-1", "pages=1-2", "bytes=x", "bytes"])
async def test_ranges_that_are_not_served_give_all(client: Client, header: str) -> None:
    """RFC 9110 §14.2: a server may ignore the field, and must if it is not valid."""
    response = await client.get(PATH, headers={**basic(), "Range": header})
    assert response.status == 200
    assert response.headers["Accept-Ranges"] == "bytes"
    assert "Content-Range" not in response.headers
    assert await response.read() == OCTETS


async def test_all_of_what_was_not_counted_needs_no_counting(
    client: Client, blob: FakeBlob
) -> None:
    """RFC 9110 §14.2: `bytes=0-` is how players begin."""
    blob.size = None
    response = await client.get(PATH, headers={**basic(), "Range": "bytes=0-"})
    assert response.status == 200
    assert await response.read() == OCTETS
    assert blob.taken == len(blob.octets)


async def test_range_is_for_get_only(client: Client, blob: FakeBlob) -> None:
    """RFC 9110 §14.2."""
    response = await client.head(PATH, headers={**basic(), "Range": "bytes=0-0"})
    assert response.status == 200
    assert response.headers["Content-Length"] == "2048"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert blob.taken == 0


@pytest.mark.parametrize(
    ("condition", "status"),
    [('"m1"', 206), ('W/"m1"', 200), ('"m2"', 200), ("Mon, 23 Nov 2026 10:00:00 GMT", 200)],
)
async def test_if_range_takes_the_strong_tag_only(
    client: Client, condition: str, status: int
) -> None:
    """RFC 9110 §13.1.5."""
    headers = {**basic(), "Range": "bytes=5-9", "If-Range": condition}
    response = await client.get(PATH, headers=headers)
    assert response.status == status
    assert await response.read() == (OCTETS[5:10] if status == 206 else OCTETS)


@pytest.mark.parametrize(
    ("condition", "status"), [('"m1"', 206), ("*", 206), ('"a", "m1"', 206), ('W/"m1"', 412)]
)
async def test_if_match(client: Client, condition: str, status: int) -> None:
    """RFC 9110 §13.1.1: compared strongly."""
    headers = {**basic(), "Range": "bytes=5-9", "If-Match": condition}
    response = await client.get(PATH, headers=headers)
    assert response.status == status
    assert {name: response.headers[name] for name in SAFE} == SAFE


async def test_what_the_client_has_comes_before_ranges(client: Client, blob: FakeBlob) -> None:
    """RFC 9110 §13.2.2."""
    headers = {**basic(), "Range": "bytes=9999-", "If-None-Match": '"m1"'}
    response = await client.get(PATH, headers=headers)
    assert response.status == 304
    assert {name: response.headers[name] for name in SAFE} == SAFE
    assert blob.taken == 0


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["bytes=0-2047", "bytes=100-", "bytes=-1948"])
async def test_range_that_comes_short_is_cut(client: Client, blob: FakeBlob, header: str) -> None:
    """RFC 9112 §8: never a short answer that looks complete."""
    blob.octets = blob.octets[:10]
    with pytest.raises((ClientPayloadError, ClientConnectionError)):
        await (await client.get(PATH, headers={**basic(), "Range": header})).read()


async def test_range_that_fails_at_once_is_an_error(client: Client, blob: FakeBlob) -> None:
    blob.octets, blob.error = [], ConnectionLost("gone")
    response = await client.get(PATH, headers={**basic(), "Range": "bytes=100-"})
    await problem_of(response, 503)


@pytest.mark.checklist("J09")
async def test_message_that_goes_away_at_once_is_not_found(client: Client, blob: FakeBlob) -> None:
    """RFC 8620 §6.2: as it will be the next time."""
    blob.octets, blob.error = [], MessageGone("gone")
    response = await client.get(PATH, headers=basic())
    problem = await problem_of(response, 404)
    assert problem == {"type": "about:blank", "title": "Not Found", "status": 404}
    assert "ETag" not in response.headers


async def test_what_is_too_large_to_be_taken_apart_is_told(
    client: Client, backend: Backend
) -> None:
    """RFC 8620 §3.6.1: with the limit's name."""
    await client.get(PATH, headers=basic())
    backend.broken = BlobTooLarge(50_000_000)
    problem = await problem_of(await client.get(PATH, headers=basic()), 400)
    assert problem["type"] == "urn:ietf:params:jmap:error:limit"
    assert problem["limit"] == "maxSizeUpload"


async def test_client_that_takes_nothing_is_left(
    client: Client, blob: FakeBlob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §8.5: it would keep a turn of its user for ever."""
    monkeypatch.setattr("gateway.http.download._STALL_SECONDS", 0.01)
    blob.octets, blob.size = [bytes(1 << 20)] * 64, 64 << 20
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1 << 16)
    credentials = basic()["Authorization"]
    writer.write(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    while not blob.closed:
        await asyncio.sleep(0.01)
    assert blob.taken < 64
    writer.transport.abort()


async def test_client_that_takes_a_little_now_and_then_is_not(
    client: Client, blob: FakeBlob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §6.2: a chunk may take longer than a client may be silent."""
    monkeypatch.setattr("gateway.http.download._STALL_SECONDS", 0.2)
    blob.octets, blob.size = [bytes(16 << 20)], 16 << 20
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1 << 16)
    credentials = basic()["Authorization"]
    writer.write(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    received = 0
    while received < blob.size:
        await asyncio.sleep(0.02)
        received += len(await reader.readexactly(1 << 19))
    assert received == blob.size
    writer.close()
