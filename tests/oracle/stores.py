"""Design §7: what gateways store in, to be lost and put back to what it was."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal, Protocol

import redis

from tests.servers.redis import Redis

StoreKind = Literal["sqlite", "redis", "memory"]


class Store(Protocol):
    """Where gateways keep things; `url` is for --store."""

    url: str
    # Whether it can be emptied and put back while gateways run; else they must be stopped.
    is_live: bool

    def flush(self) -> None:
        """Everything in it is lost."""
        ...

    def take(self) -> None:
        """Remember what is in it now."""
        ...

    def put_back(self) -> bool:
        """What it had when it was last taken; False if it never was."""
        ...

    def forget(self) -> None:
        """Forget what was taken."""
        ...

    def close(self) -> None:
        """It is not used any more."""
        ...


class SqliteStore:
    """A file, with its side files."""

    is_live = False

    def __init__(self, directory: Path) -> None:
        self._file = directory / "store.db"
        self._taken = directory / "taken"
        self.url = f"sqlite://{self._file}"

    def flush(self) -> None:
        """Delete it."""
        for path in self._files():
            path.unlink()

    def take(self) -> None:
        """Copy it."""
        self.forget()
        self._taken.mkdir()
        for path in self._files():
            shutil.copy(path, self._taken)

    def put_back(self) -> bool:
        """Copy it back."""
        if not self._taken.exists():
            return False
        self.flush()
        for path in self._taken.iterdir():
            shutil.copy(path, self._file.parent)
        return True

    def forget(self) -> None:
        """Delete the copy."""
        shutil.rmtree(self._taken, ignore_errors=True)

    def close(self) -> None:
        """It goes with its directory."""

    def _files(self) -> list[Path]:
        return list(self._file.parent.glob(self._file.name + "*"))


class RedisStore:
    """A server of its own."""

    is_live = True

    def __init__(self) -> None:
        self._server = Redis()
        self._server.start()
        self._client = redis.Redis.from_url(self._server.url)
        self._taken: dict[bytes, bytes] | None = None
        self.url = self._server.url

    def flush(self) -> None:
        """FLUSHALL."""
        self._client.flushall()

    def take(self) -> None:
        """DUMP every key."""
        keys: Any = self._client.keys("*")
        dumps = {key: self._client.dump(key) for key in keys}
        self._taken = {key: dump for key, dump in dumps.items() if isinstance(dump, bytes)}

    def put_back(self) -> bool:
        """RESTORE them, as a replica that was behind does when it becomes the master."""
        if self._taken is None:
            return False
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.flushall()
            for key, dump in self._taken.items():
                pipeline.restore(key, 0, dump)
            pipeline.execute()
        return True

    def forget(self) -> None:
        """Forget the dumps."""
        self._taken = None

    def pause(self, milliseconds: int) -> None:
        """It answers nobody for a while."""
        self._client.client_pause(milliseconds)

    def close(self) -> None:
        """End the server."""
        self._client.close()
        self._server.close()


class MemoryStore:
    """Nothing: what a gateway keeps is gone when it ends."""

    url = "memory://"
    is_live = False

    def flush(self) -> None:
        """It does so by itself."""

    def take(self) -> None:
        """There is nothing to take."""

    def put_back(self) -> bool:
        """There is nothing to put back."""
        return False

    def forget(self) -> None:
        """There is nothing to forget."""

    def close(self) -> None:
        """There is nothing to close."""


def open_store(kind: StoreKind, directory: Path) -> Store:
    """A store of a kind, empty."""
    if kind == "redis":
        return RedisStore()
    return SqliteStore(directory) if kind == "sqlite" else MemoryStore()
