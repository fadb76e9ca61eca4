"""Design §7: what is particular to the store in a SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.store import StoreError, StoreUnavailable
from gateway.store.sqlite import SqliteBackend
from gateway.store.sqlite_file import MIGRATIONS

SAVER = """
import asyncio, sys
from pathlib import Path
from gateway.store.sqlite import SqliteBackend

async def main(path, name):
    backend = SqliteBackend(Path(path))
    for number in range(20):
        await backend.write("owner", {f"{name}/{number}": bytes(1000)})
    await backend.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a file that does not exist yet, in a directory that does not either."""
    return tmp_path / "new" / "store.db"


@pytest.fixture
async def backend(path: Path) -> AsyncIterator[SqliteBackend]:
    """Give a backend on `path`."""
    backend = SqliteBackend(path)
    yield backend
    await backend.close()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_data_outlive_the_process_that_saved_them(backend: SqliteBackend, path: Path) -> None:
    await backend.write("owner", {"a": b"1"})
    await backend.close()
    again = SqliteBackend(path)
    assert await again.read("owner", ["a"]) == {"a": b"1"}
    await again.close()


async def test_only_the_owner_may_read_the_files(backend: SqliteBackend, path: Path) -> None:
    await backend.write("owner", {"a": b"1"})
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["store.db", "store.db-shm", "store.db-wal"]
    assert {_mode(file) for file in files} == {0o600}
    assert _mode(path.parent) == 0o700


async def test_a_file_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch(0o644)
    backend = SqliteBackend(path)
    await backend.ping()
    await backend.close()
    assert _mode(path) == 0o600


async def test_an_error_in_the_middle_of_a_save_undoes_it(backend: SqliteBackend) -> None:
    await backend.write("owner", {"a": b"old"})
    # SQLite refuses the second value only when the first is in: the column takes octets.
    entries = cast("dict[str, Any]", {"a": b"new", "b": "text"})
    with pytest.raises(StoreError, match="cannot store TEXT"):
        await backend.write("owner", entries)
    assert await backend.read("owner", ["a", "b"]) == {"a": b"old"}


async def test_processes_share_one_file_from_its_creation_on(
    backend: SqliteBackend, path: Path
) -> None:
    savers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", SAVER, path, str(number))
        for number in range(4)
    ]
    assert [await saver.wait() for saver in savers] == [0, 0, 0, 0]
    keys = [f"{name}/{number}" for name in range(4) for number in range(20)]
    assert set(await backend.read("owner", keys)) == set(keys)


async def test_all_who_create_the_file_at_once_succeed(tmp_path: Path) -> None:
    """SQLite gives up at once when two connections turn on the write-ahead log together."""
    for attempt in range(15):
        backends = [SqliteBackend(tmp_path / f"{attempt}.db") for _ in range(6)]
        await asyncio.gather(*(backend.write("owner", {"a": b"1"}) for backend in backends))
        await asyncio.gather(*(backend.close() for backend in backends))


async def test_a_locked_file_is_unavailable_until_it_is_free(
    backend: SqliteBackend, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.sqlite_file.BUSY_SECONDS", 0.01)
    await backend.write("owner", {"a": b"1"})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert await backend.read("owner", ["a"]) == {"a": b"1"}
    with pytest.raises(StoreUnavailable, match="locked"):
        await backend.write("owner", {"a": b"2"})
    other.execute("ROLLBACK")
    other.close()
    await backend.write("owner", {"a": b"2"})
    assert await backend.read("owner", ["a"]) == {"a": b"2"}


async def test_no_wait_is_longer_than_the_deadline(
    backend: SqliteBackend, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await backend.write("owner", {"a": b"1"})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("gateway.store.sqlite_file.DEADLINE_SECONDS", 0.01)
    with pytest.raises(StoreUnavailable, match="no answer in"):
        await backend.write("owner", {"a": b"2"})
    other.close()


async def test_a_full_file_is_unavailable_and_keeps_what_it_has(backend: SqliteBackend) -> None:
    """F6."""
    await backend.write("owner", {"a": b"1"})
    await backend._writing.run(lambda connection: connection.execute("PRAGMA max_page_count = 16"))
    with pytest.raises(StoreUnavailable, match="full"):
        await backend.write("owner", {"a": b"2", "b": bytes(1_000_000)})
    assert await backend.read("owner", ["a", "b"]) == {"a": b"1"}


async def test_a_place_where_no_file_can_be_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    backend = SqliteBackend(tmp_path / "file" / "store.db")
    with pytest.raises(StoreUnavailable, match=r"file/store\.db"):
        await backend.ping()
    await backend.close()


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"something else\n" * 100)
    backend = SqliteBackend(path)
    with pytest.raises(StoreError, match="not a database"):
        await backend.ping()
    await backend.close()
    assert path.read_bytes() == b"something else\n" * 100


async def test_a_file_of_a_later_release_is_refused(backend: SqliteBackend, path: Path) -> None:
    await backend.write("owner", {"a": b"1"})
    await backend._writing.run(
        lambda connection: connection.execute("UPDATE schema_version SET version=99")
    )
    later = SqliteBackend(path)
    with pytest.raises(StoreError, match=f"schema 99, this one has {len(MIGRATIONS)}"):
        await later.ping()
    await later.close()


async def test_after_closing_it_is_unavailable(backend: SqliteBackend) -> None:
    await backend.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await backend.ping()


async def test_a_file_of_an_earlier_release_is_brought_to_the_present_schema(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as earlier, earlier:
        earlier.execute(MIGRATIONS[0])
        earlier.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
        earlier.execute("INSERT INTO schema_version VALUES (1)")
        earlier.execute("INSERT INTO entry VALUES ('owner', 'a', x'31')")
    backend = SqliteBackend(path)
    assert await backend.read("owner", ["a"]) == {"a": b"1"}
    await backend.durable.write("owner", "bundle", {"0": b"2"}, 1000.0)
    assert await backend.durable.read("owner", "bundle", ["0"]) == {"0": b"2"}
    await backend.close()


async def test_durable_values_are_on_the_disk_when_they_are_kept(backend: SqliteBackend) -> None:
    """Design §7: FULL (2), where a power failure may take the last rebuildable ones (NORMAL, 1)."""
    for thread, level in ((backend.durable._writing, 2), (backend._writing, 1)):
        row = await thread.run(lambda c: c.execute("PRAGMA synchronous").fetchone())
        assert row == (level,)


async def test_sweeping_frees_the_room_of_what_has_expired(backend: SqliteBackend) -> None:
    for number in range(3):
        await backend.durable.write("owner", f"{number}", {"0": bytes(1000)}, -1.0)
    await backend.durable.write("owner", "kept", {"0": b"1"}, 1000.0)
    assert await backend.durable.read("owner", "0", ["0"]) == {}
    assert await backend.durable.size("owner") == 3001
    await backend.durable.sweep()
    assert await backend.durable.size("owner") == 1
