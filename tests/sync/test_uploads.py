"""RFC 8620 §6, §6.1: what becomes of the octets that a client sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.base import Durable, StoreUnavailable
from gateway.store.memory_durable import MemoryDurable
from gateway.store.opening import open_store
from gateway.store.sealed import SealedDurable
from gateway.sync import ids
from gateway.sync import uploads as module
from gateway.sync.errors import NotCommitted
from gateway.sync.uploads import (
    LEAST_OCTETS,
    LIFE_SECONDS,
    PENDING_SECONDS,
    PIECE_OCTETS,
    Listed,
    Upload,
    UploadGone,
    Uploads,
    UploadTooLarge,
    admitted,
)
from tests.servers.redis import Redis

SECRET = b"0123456789abcdef0123456789abcdef"
QUOTA = 50_000_000
NOISE = Random(8620).randbytes(3 * PIECE_OCTETS + 1000)


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def durable(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Durable]:
    url = {"memory": "memory://", "sqlite": f"sqlite://{tmp_path}/store.db"}.get(request.param)
    if url is None:
        url = request.getfixturevalue("redis_server").url
    store = open_store(url, SECRET, tmp_path)
    yield store.durable
    await store.close()


@pytest.fixture
def uploads(durable: Durable) -> Uploads:
    return Uploads(durable, "aann", QUOTA)


async def sent(octets: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    """The octets as they come over a network."""
    for start in range(0, len(octets), size):
        yield octets[start : start + size]


async def put(uploads: Uploads, octets: bytes, media_type: str = "text/plain") -> Upload:
    return await uploads.receive(media_type, sent(octets), QUOTA)


async def read(uploads: Uploads, upload: Upload, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in uploads.chunks(upload, start, stop)])


# --- whole uploads --------------------------------------------------------------------------------


@pytest.mark.checklist("J01", "J03")
@pytest.mark.parametrize(
    "size",
    [0, 1, PIECE_OCTETS - 1, PIECE_OCTETS, PIECE_OCTETS + 1, 2 * PIECE_OCTETS, len(NOISE)],
)
async def test_an_upload_is_found_and_read_as_it_was_sent(uploads: Uploads, size: int) -> None:
    upload = await put(uploads, NOISE[:size], "image/png")
    assert (upload.size, upload.media_type) == (size, "image/png")
    assert await uploads.find(upload.blob_id) == upload
    assert await read(uploads, upload) == NOISE[:size]


async def test_ranges_begin_and_end_in_any_piece(uploads: Uploads) -> None:
    upload = await put(uploads, NOISE)
    edges = [0, 1, PIECE_OCTETS - 1, PIECE_OCTETS, 2 * PIECE_OCTETS + 7, len(NOISE), len(NOISE) + 9]
    for start in edges:
        for stop in [*edges, None]:
            assert await read(uploads, upload, start, stop) == NOISE[start:stop]


async def test_the_same_octets_again_are_another_upload_with_its_own_time(
    uploads: Uploads,
) -> None:
    """RFC 8620 §6: a second upload is not to expire with the first."""
    first, second = await put(uploads, b"twice"), await put(uploads, b"twice")
    assert first.blob_id != second.blob_id


@pytest.mark.threat("R10")
@pytest.mark.checklist("J04")
async def test_nobody_else_finds_it(uploads: Uploads, durable: Durable) -> None:
    """R10: whoever knows its id."""
    upload = await put(uploads, b"mine")
    other = Uploads(durable, "abob", QUOTA)
    assert await other.find(upload.blob_id) is None
    with pytest.raises(UploadGone):
        await read(other, upload)
    for unknown in ("", "u", "u" + "A" * 22, upload.blob_id[:-1], upload.blob_id + "-1", "mE1"):
        assert await uploads.find(unknown) is None


# --- uploads that come to nothing -----------------------------------------------------------------


class HangsUp(Exception):
    pass


async def broken_off(octets: bytes, at: int) -> AsyncIterator[bytes]:
    async for chunk in sent(octets[:at]):
        yield chunk
    raise HangsUp


@pytest.mark.parametrize("at", [0, 10, PIECE_OCTETS + 10, len(NOISE)])
async def test_nothing_stays_of_an_upload_that_is_broken_off(
    uploads: Uploads, durable: Durable, at: int
) -> None:
    """F14."""
    with pytest.raises(HangsUp):
        await uploads.receive("text/plain", broken_off(NOISE, at), QUOTA)
    assert await durable.size("aann") == 0


async def test_nothing_stays_of_an_upload_that_is_cancelled_at_any_moment(
    uploads: Uploads, durable: Durable
) -> None:
    """A client that hangs up ends the task: while it waits for octets, or for the store."""
    for steps in (1, 3, 6, 10, 20, 40):
        task = asyncio.create_task(put(uploads, NOISE))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            await durable.drop("aann", [f"upload/{task.result().blob_id}"])
        await durable.drop("aann", ["uploads"])
        assert await durable.size("aann") == 0


@pytest.mark.checklist("J11")
async def test_more_than_the_limit_is_not_taken_in(uploads: Uploads, durable: Durable) -> None:
    limit = PIECE_OCTETS + 5
    upload = await uploads.receive("text/plain", sent(NOISE[:limit]), limit)
    assert upload.size == limit
    size = await durable.size("aann")
    with pytest.raises(UploadTooLarge) as caught:
        await uploads.receive("text/plain", sent(NOISE[: limit + 1]), limit)
    assert caught.value.limit == limit
    assert await durable.size("aann") == size


async def test_an_incomplete_upload_is_no_blob_and_goes_by_itself(
    uploads: Uploads, durable: Durable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that is killed takes nothing back."""
    monkeypatch.setattr(module, "PENDING_SECONDS", 1.0)
    made: list[str] = []
    make = ids.upload_blob_id

    def noted(random: bytes) -> str:
        made.append(make(random))
        return made[-1]

    monkeypatch.setattr(ids, "upload_blob_id", noted)
    arrived = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield NOISE
        arrived.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(uploads.receive("text/plain", stalled(), QUOTA))
    await arrived.wait()
    assert await durable.size("aann") >= 3 * PIECE_OCTETS
    assert await uploads.find(made[0]) is None
    while await durable.load("aann", f"upload/{made[0]}", ["0"]):
        await asyncio.sleep(0.05)
    await durable.sweep()
    assert await durable.size("aann") == 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_upload_whose_first_pieces_were_lost_on_the_way_is_refused(
    uploads: Uploads, durable: Durable
) -> None:
    """F4: a store that is emptied in between would otherwise have half of it, marked as whole."""

    async def interrupted() -> AsyncIterator[bytes]:
        yield NOISE[: 2 * PIECE_OCTETS + 1]
        await durable.delete_account("aann")
        yield NOISE[2 * PIECE_OCTETS + 1 :]

    with pytest.raises(NotCommitted):
        await uploads.receive("text/plain", interrupted(), QUOTA)
    assert await durable.size("aann") == 0


async def test_what_vanishes_while_it_is_read_is_told(uploads: Uploads, durable: Durable) -> None:
    upload = await put(uploads, NOISE)
    chunks = uploads.chunks(upload)
    assert await anext(chunks) == NOISE[:PIECE_OCTETS]
    await durable.drop("aann", [f"upload/{upload.blob_id}"])
    with pytest.raises(UploadGone):
        await anext(chunks)
    assert await uploads.find(upload.blob_id) is None


class Failing(MemoryDurable):
    """A database that fails at the n-th time something is written."""

    def __init__(self, at: int) -> None:
        super().__init__(QUOTA)
        self.left = at

    async def write(
        self, owner: str, bundle: str, entries: Mapping[str, bytes], seconds: float
    ) -> None:
        self.left -= 1
        if self.left == 0:
            raise StoreUnavailable("memory", "full")
        await super().write(owner, bundle, entries, seconds)


@pytest.mark.parametrize("at", range(1, 6))
async def test_a_store_that_fails_keeps_nothing_half(at: int) -> None:
    """F6, F14: a full disk; the client is told to try again."""
    backend = Failing(at)
    durable = SealedDurable(backend, SECRET)
    uploads = Uploads(durable, "aann", QUOTA)
    with pytest.raises(NotCommitted):
        await put(uploads, NOISE)
    assert await durable.size("aann") == 0
    upload = await put(uploads, NOISE)
    assert await read(uploads, upload) == NOISE


async def test_a_store_that_does_not_answer_is_no_missing_upload(own_redis: Redis) -> None:
    """F5: unknown is one thing, not known now another."""
    store = open_store(own_redis.url, SECRET, Path())
    uploads = Uploads(store.durable, "aann", QUOTA)
    upload = await put(uploads, b"there")
    own_redis.stop()
    with pytest.raises(NotCommitted):
        await uploads.find(upload.blob_id)
    with pytest.raises(NotCommitted):
        await read(uploads, upload)
    with pytest.raises(NotCommitted):
        await put(uploads, b"more")
    await store.close()


@pytest.fixture
async def own_redis() -> AsyncIterator[Redis]:
    with Redis() as server:
        yield server


# --- room -----------------------------------------------------------------------------------------


@pytest.mark.threat("R30")
@pytest.mark.checklist("J05", "J06")
async def test_the_oldest_go_to_make_room_and_no_more_of_them_than_need_be(
    durable: Durable,
) -> None:
    uploads = Uploads(durable, "aann", 4 * PIECE_OCTETS)
    old, middle, new = [await put(uploads, NOISE[:PIECE_OCTETS]) for _ in range(3)]
    large = await put(uploads, NOISE[: 2 * PIECE_OCTETS])
    found = [await uploads.find(upload.blob_id) for upload in (old, middle, new, large)]
    assert found == [None, middle, new, large]
    assert await read(uploads, middle) == NOISE[:PIECE_OCTETS]
    other = Uploads(durable, "abob", 4 * PIECE_OCTETS)
    await put(other, NOISE[: 3 * PIECE_OCTETS])
    assert await uploads.find(middle.blob_id) == middle


@pytest.mark.threat("R30")
async def test_an_upload_larger_than_the_quota_displaces_nothing(durable: Durable) -> None:
    uploads = Uploads(durable, "aann", PIECE_OCTETS)
    small = await put(uploads, b"small")
    with pytest.raises(UploadTooLarge) as caught:
        await put(uploads, NOISE[: PIECE_OCTETS + 1])
    assert caught.value.limit == PIECE_OCTETS
    assert await uploads.find(small.blob_id) == small


async def test_uploads_at_once_are_all_counted(durable: Durable) -> None:
    """Whatever processes take them in."""
    quota = 10 * LEAST_OCTETS
    several = [Uploads(durable, "aann", quota) for _ in range(3)]
    made = await asyncio.gather(*(put(uploads, b"%d" % n) for uploads in several for n in range(5)))
    found = [await several[0].find(upload.blob_id) for upload in made]
    assert sum(upload is not None for upload in found) == 10


listings = st.lists(
    st.tuples(st.integers(0, 5 * LEAST_OCTETS), st.sampled_from([-1.0, 1.0, 1000.0])), max_size=20
)


@given(listings, st.integers(0, 5 * LEAST_OCTETS), st.integers(5 * LEAST_OCTETS, 10**6))
def test_a_new_upload_displaces_the_oldest_as_far_as_need_be(
    held: list[tuple[int, float]], size: int, quota: int
) -> None:
    """RFC 8620 §6: in date order, oldest first, until there is room."""
    listed = [Listed(f"u{n}", octets, expires) for n, (octets, expires) in enumerate(held)]
    new = Listed("new", size, LIFE_SECONDS)
    kept, gone = admitted(listed, new, quota, 0.0)
    assert gone + kept == [each for each in listed if each.expires > 0] + [new]

    def counted(each: list[Listed]) -> int:
        return sum(max(one.size, LEAST_OCTETS) for one in each)

    assert counted(kept) <= quota
    assert not gone or counted([gone[-1], *kept]) > quota


@pytest.mark.checklist("J05")
async def test_uploads_are_kept_for_longer_than_an_hour() -> None:
    """RFC 8620 §6: the last piece and the mark are written with this; then none is any more."""
    given: list[float] = []

    class Noting(MemoryDurable):
        async def write(
            self, owner: str, bundle: str, entries: Mapping[str, bytes], seconds: float
        ) -> None:
            given.append(seconds)
            await super().write(owner, bundle, entries, seconds)

    await put(Uploads(SealedDurable(Noting(QUOTA), SECRET), "aann", QUOTA), NOISE)
    assert given == [PENDING_SECONDS] * 3 + [LIFE_SECONDS] * 2
    assert LIFE_SECONDS >= 3600


async def test_no_more_than_a_piece_and_a_chunk_is_in_memory() -> None:
    """RFC 8620 §6.1: the client sends no faster than the store takes."""
    taken = stored = 0

    class Slow(MemoryDurable):
        async def write(
            self, owner: str, bundle: str, entries: Mapping[str, bytes], seconds: float
        ) -> None:
            nonlocal stored
            await asyncio.sleep(0)
            await super().write(owner, bundle, entries, seconds)
            stored = sum(len(octets) for name, octets in entries.items() if name != "mark") + stored

    async def counted() -> AsyncIterator[bytes]:
        nonlocal taken
        async for chunk in sent(NOISE):
            taken += len(chunk)
            yield chunk
            assert taken - stored <= PIECE_OCTETS + 65_536

    uploads = Uploads(SealedDurable(Slow(QUOTA), SECRET), "aann", QUOTA)
    assert (await uploads.receive("text/plain", counted(), QUOTA)).size == len(NOISE)
