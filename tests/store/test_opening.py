"""Design §2: which store a URL means."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store import StoreError, open_store
from tests.servers.redis import Redis

SECRET = b"0123456789abcdef0123456789abcdef"


async def test_by_default_it_is_a_file_in_the_data_directory(tmp_path: Path) -> None:
    store = open_store(None, None, tmp_path / "data")
    await store.save("alice", {"a": b"1"})
    await store.close()
    assert {file.name for file in (tmp_path / "data").iterdir()} == {"store.db", "store.secret"}
    again = open_store(None, None, tmp_path / "data")
    assert await again.load("alice", "a") == b"1"
    await again.close()


async def test_a_file_is_where_the_url_says(tmp_path: Path) -> None:
    path = tmp_path / "a directory" / "file.db"
    store = open_store(path.as_uri().replace("file:", "sqlite:"), SECRET, tmp_path / "unused")
    await store.ping()
    await store.close()
    assert path.exists()
    assert not (tmp_path / "unused").exists()


async def test_nodes_with_one_secret_share_a_redis(redis_server: Redis, tmp_path: Path) -> None:
    one = open_store(redis_server.url, SECRET, tmp_path)
    other = open_store(redis_server.url, SECRET, tmp_path)
    stranger = open_store(redis_server.url, None, tmp_path)
    await one.save("alice", {"a": b"1"})
    assert await other.load("alice", "a") == b"1"
    assert await stranger.load("alice", "a") is None
    for store in (one, other, stranger):
        await store.close()


async def test_memory_needs_no_directory_and_is_shared_with_nobody(tmp_path: Path) -> None:
    store = open_store("memory://", None, tmp_path / "unused")
    await store.save("alice", {"a": b"1"})
    assert await store.load("alice", "a") == b"1"
    assert await open_store("memory://", None, tmp_path / "unused").load("alice", "a") is None
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize("url", ["mysql://localhost", "store.db", "redis://localhost:port"])
def test_any_other_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        open_store(url, SECRET, tmp_path)
