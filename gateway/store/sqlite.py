"""Design §7: the store of one machine: a single SQLite file, shared by its processes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.store.sqlite_durable import SqliteDurable
from gateway.store.sqlite_file import Thread


class SqliteBackend:
    """Reads in one thread and writes in another.

    So no read waits behind a large write, a slow disk, or the write of another process.
    """

    def __init__(self, path: Path) -> None:
        self._reading = Thread(path)
        self._writing = Thread(path)
        self.durable = SqliteDurable(path, self._reading)

    async def read(self, owner: str, keys: Sequence[str]) -> dict[str, bytes]:
        """One statement, so one snapshot."""
        return await self._reading.run(lambda connection: _select(connection, owner, keys))

    async def write(self, owner: str, entries: Mapping[str, bytes | None]) -> None:
        """One transaction."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            _put(connection, owner, entries)
            connection.execute("COMMIT")

        await self._writing.run(work)

    async def swap(
        self, owner: str, key: str, held: bytes | None, entries: Mapping[str, bytes | None]
    ) -> bool:
        """One transaction, which no other writer shares from the comparison on."""

        def work(connection: sqlite3.Connection) -> bool:
            connection.execute("BEGIN IMMEDIATE")
            done = _select(connection, owner, [key]).get(key) == held
            if done:
                _put(connection, owner, entries)
            else:
                found = _select(connection, owner, list(entries))
                done = all(found.get(name) == value for name, value in entries.items())
            connection.execute("COMMIT")
            return done

        return await self._writing.run(work)

    async def drop(self, owner: str) -> None:
        """Delete the owner's rows."""
        query = "DELETE FROM entry WHERE owner = ?"
        await self._writing.run(lambda connection: connection.execute(query, (owner,)))

    async def size(self, owner: str) -> int:
        """Read from the row headers, not from the values."""
        query = "SELECT coalesce(sum(length(value)), 0) FROM entry WHERE owner = ?"
        row = await self._reading.run(lambda c: c.execute(query, (owner,)).fetchone())
        return int(row[0])

    async def close(self) -> None:
        """Wait for what is under way, and close the file."""
        await self._reading.close()
        await self._writing.close()
        await self.durable.close()

    async def ping(self) -> None:
        """Read the file."""
        await self._reading.run(lambda c: c.execute("SELECT 1 FROM entry LIMIT 1").fetchone())


def _select(connection: sqlite3.Connection, owner: str, keys: Sequence[str]) -> dict[str, bytes]:
    """Any number of keys in one statement; what is asked all the time is a single one."""
    query = "SELECT key, value FROM entry WHERE owner = ? AND key "
    if len(keys) == 1:
        found = connection.execute(query + "= ?", (owner, keys[0]))
    else:
        chosen = "IN (SELECT value FROM json_each(?))"
        found = connection.execute(query + chosen, (owner, json.dumps(keys)))
    return dict(found.fetchall())


def _put(connection: sqlite3.Connection, owner: str, entries: Mapping[str, bytes | None]) -> None:
    for key, value in entries.items():
        if value is None:
            connection.execute("DELETE FROM entry WHERE owner = ? AND key = ?", (owner, key))
        else:
            connection.execute(
                "INSERT INTO entry VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET value = excluded.value",
                (owner, key, value),
            )
