"""Design §2: `--store`: which backend a URL means."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gateway.store import keys
from gateway.store.base import Backend, Store, StoreError
from gateway.store.memory import MemoryBackend
from gateway.store.sealed import SealedStore
from gateway.store.sqlite import SqliteBackend
from gateway.store.windows import Windows

DEFAULT_FILE = "store.db"


def open_store(url: str | None, secret: bytes | None, data_dir: Path) -> Store:
    """The store at `url`: `sqlite:///PATH`, `redis://`, `rediss://`, `memory://`.

    None for the URL is `store.db` in `data_dir`; None for the secret is the one kept there, which
    is made if need be. Neither files nor sockets of the store are opened before the first call,
    so `ping()` tells whether it works.

    Raises:
        StoreError: no such kind of store, or no secret to be had.
    """
    scheme = urlsplit(url or "sqlite:").scheme
    if scheme == "memory":
        return SealedStore(MemoryBackend(), secret or os.urandom(keys.SECRET_OCTETS))
    return SealedStore(_backend(scheme, url, data_dir), secret or keys.server_secret(data_dir))


def open_windows(url: str | None, secret: bytes | None, data_dir: Path) -> Windows:
    """What counts in windows beside the store at `url`; see `open_store`. Raises StoreError."""
    if urlsplit(url or "").scheme == "memory":
        return Windows(None, secret or os.urandom(keys.SECRET_OCTETS))
    return Windows(url, secret or keys.server_secret(data_dir))


def _backend(scheme: str, url: str | None, data_dir: Path) -> Backend:
    match scheme:
        case "redis" | "rediss" if url:
            # Its library takes as long to import as all the rest of the store does.
            from gateway.store.redis import RedisBackend

            return RedisBackend(url)
        case "sqlite":
            path = Path(unquote(urlsplit(url).path)) if url else data_dir / DEFAULT_FILE
            return SqliteBackend(path)
        case _:
            raise StoreError(scheme, "no such kind of store")
