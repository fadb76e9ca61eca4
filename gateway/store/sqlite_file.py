"""Design §7: the SQLite file that the processes of one machine share: opening and using it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from gateway.store.base import DEADLINE_SECONDS, StoreError, StoreUnavailable

T = TypeVar("T")

BUSY_SECONDS = DEADLINE_SECONDS * 0.8
"""How long to wait for another process's write; less than the deadline, so that it gets told."""

MIGRATIONS = (
    """CREATE TABLE entry (
        owner TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (owner, key)
    ) STRICT""",
    """CREATE TABLE bundle (
        id INTEGER PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, expires REAL NOT NULL,
        UNIQUE (owner, name)
    ) STRICT""",
    """CREATE TABLE durable (
        bundle INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (bundle, key)
    ) STRICT""",
)
"""Statement n brings the file from schema version n to n + 1."""


class Thread:
    """A connection of its own, which is opened, used and closed in one thread.

    is_synchronous: what is committed is on disk then. Otherwise a power failure may undo the last
    commits, which the states of the change log tell; nothing else can.
    """

    def __init__(self, path: Path, *, is_synchronous: bool = False) -> None:
        self._path = path
        self._is_synchronous = is_synchronous
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the thread. At the deadline it goes on there, but nobody waits for it."""
        if self._closed:
            raise self._unavailable("closed")
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._executor, self._work, work)
        except TimeoutError:
            raise self._unavailable(f"no answer in {DEADLINE_SECONDS:g} s") from None
        except OSError as error:
            raise self._unavailable(error.strerror or str(error)) from error
        except sqlite3.OperationalError as error:  # locked, full, not readable, ...
            raise self._unavailable(str(error)) from error
        except sqlite3.Error as error:
            raise StoreError("sqlite", f"{self._path}: {error}") from error

    async def close(self) -> None:
        """Wait for what is under way; nothing is run any more."""

        def work() -> None:
            if self._connection is not None:
                self._connection.close()

        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._executor, work)
            self._executor.shutdown(wait=False)

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable("sqlite", f"{self._path}: {reason}")

    def _work(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """After an error the connection is closed, which rolls back; the next call opens anew."""
        connection = self._connection or _open(self._path, is_synchronous=self._is_synchronous)
        self._connection = None
        try:
            result = work(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return result


def _open(path: Path, *, is_synchronous: bool) -> sqlite3.Connection:
    """A connection to the file, which is created or brought to the present schema if need be."""
    _make_private(path)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        _enter_wal(connection)
        connection.execute(f"PRAGMA synchronous = {'FULL' if is_synchronous else 'NORMAL'}")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_private(path: Path) -> None:
    """Let only the owner read the file; SQLite gives its side files the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # Never opened here: closing it would take the locks away from SQLite in this process.
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def _enter_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for the lock of this one statement as it does for all others."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to the present schema; a file that has it is not locked for that."""
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise StoreError(
            "sqlite",
            f"{path}: written by a later release (schema {version}, this one has"
            f" {len(MIGRATIONS)}); nothing is lost if it is moved away",
        )
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    for statement in MIGRATIONS[version:]:
        connection.execute(statement)
    connection.execute("DELETE FROM schema_version")
    connection.execute("INSERT INTO schema_version VALUES (?)", (len(MIGRATIONS),))
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'")
    if tables.fetchone() is None:
        return 0
    return int(connection.execute("SELECT version FROM schema_version").fetchone()[0])
