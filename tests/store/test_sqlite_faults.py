"""Design §6, faults F1, F5 and F6: a SQLite file that is locked, full, or goes back in time."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.store import StoreUnavailable
from gateway.store.sealed import SealedStore
from gateway.store.sqlite import SqliteBackend
from tests.store.history import HEAD, History, entries, read_log
from tests.store.values import ALICE, SECRET

CLIENTS = 4
STEPS = 30

HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM entry")
print("holds", flush=True)
time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def backend(path: Path) -> AsyncIterator[SqliteBackend]:
    backend = SqliteBackend(path)
    yield backend
    await backend.close()


@pytest.fixture
async def store(backend: SqliteBackend) -> SealedStore:
    """Give a store with a log of one value."""
    store = SealedStore(backend, SECRET)
    assert await store.replace(ALICE, HEAD, None, entries(None, b"1"))
    return store


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let nobody write for a while."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.close()


async def test_a_process_killed_in_the_middle_of_a_write_leaves_nothing_of_it(
    store: SealedStore, path: Path
) -> None:
    """F1."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, path, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"holds\n"
    assert await read_log(store) == [b"1"]
    waiting = asyncio.create_task(store.replace(ALICE, HEAD, b"1", entries(b"1", b"2")))
    holder.kill()
    await holder.wait()
    assert await waiting
    assert await read_log(store) == [b"1", b"2"]


async def test_a_write_that_comes_too_late_is_applied_whole_and_may_be_made_again(
    store: SealedStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F6: nobody waits for a slow disk beyond the deadline."""
    new = entries(b"1", b"2")
    with locked(path), monkeypatch.context() as patch:
        patch.setattr("gateway.store.sqlite_file.DEADLINE_SECONDS", 0.01)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="no answer in"):
                await store.replace(ALICE, HEAD, b"1", new)
    assert await store.replace(ALICE, HEAD, b"1", new)
    assert await read_log(store) == [b"1", b"2"]


async def test_a_full_file_is_unavailable_and_keeps_what_it_has(
    store: SealedStore, backend: SqliteBackend
) -> None:
    """F6."""
    await backend._writing.run(lambda connection: connection.execute("PRAGMA max_page_count = 16"))
    large = {**entries(b"1", b"2"), "index": bytes(1_000_000)}
    with pytest.raises(StoreUnavailable, match="full"):
        await store.replace(ALICE, HEAD, b"1", large)
    assert await store.load_many(ALICE, list(large)) == {HEAD: b"1"}
    assert await store.replace(ALICE, HEAD, b"1", entries(b"1", b"2"))


async def test_after_going_back_in_time_head_and_records_agree(path: Path) -> None:
    """F5: the file was restored from a copy; what was written since does not count."""
    for step, copy in ((b"1", "copy.db"), (b"2", "lost.db")):
        backend = SqliteBackend(path)
        store = SealedStore(backend, SECRET)
        old = await store.load(ALICE, HEAD)
        assert await store.replace(ALICE, HEAD, old, entries(old, step))
        await backend.close()
        shutil.copy(path, path.with_name(copy))
    shutil.copy(path.with_name("copy.db"), path)
    backend = SqliteBackend(path)
    store = SealedStore(backend, SECRET)
    assert await read_log(store) == [b"1"]
    assert not await store.replace(ALICE, HEAD, b"2", entries(b"2", b"3"))
    assert await store.replace(ALICE, HEAD, b"1", entries(b"1", b"other"))
    assert await read_log(store) == [b"1", b"other"]
    await backend.close()


async def test_a_log_stays_one_while_the_file_is_locked_again_and_again(
    store: SealedStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F6: some calls give up waiting for the lock, some at the deadline."""
    monkeypatch.setattr("gateway.store.sqlite_file.BUSY_SECONDS", 0.05)
    monkeypatch.setattr("gateway.store.sqlite_file.DEADLINE_SECONDS", 0.1)
    history = History()
    backends = [SqliteBackend(path) for _ in range(CLIENTS)]
    await store.save(ALICE, {HEAD: None})
    async with asyncio.TaskGroup() as tasks:
        for number, backend in enumerate(backends):
            own = SealedStore(backend, SECRET)
            tasks.create_task(history.write(own, f"client{number}"))
        for _ in range(5):
            await history.grown(STEPS)
            with locked(path):
                await history.failed(CLIENTS)
        await history.grown(STEPS)
        history.stop()
    for backend in backends:
        await backend.close()
    history.check(await read_log(store))
