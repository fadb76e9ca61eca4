"""Design §7: durable values in the SQLite file: bundles, each with the time at which it expires."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from gateway.store.sqlite_file import Thread


class SqliteDurable:
    """Reads in the thread that it is given, and writes in one of its own, through to the disk.

    A bundle is taken out in a transaction of its own: nobody waits for the room of many to be
    freed.
    """

    def __init__(self, path: Path, reading: Thread) -> None:
        self._reading = reading
        self._writing = Thread(path, is_synchronous=True)

    async def read(self, owner: str, bundle: str, keys: Sequence[str]) -> dict[str, bytes]:
        """One statement, so one snapshot."""
        return await self._reading.run(lambda connection: _select(connection, owner, bundle, keys))

    async def write(
        self, owner: str, bundle: str, entries: Mapping[str, bytes], seconds: float
    ) -> None:
        """One transaction."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            _put(connection, owner, bundle, entries, seconds)
            connection.execute("COMMIT")

        await self._writing.run(work)

    async def swap(
        self,
        owner: str,
        bundle: str,
        key: str,
        held: bytes | None,
        entries: Mapping[str, bytes],
        seconds: float,
    ) -> bool:
        """One transaction, which no other writer shares from the comparison on."""

        def work(connection: sqlite3.Connection) -> bool:
            connection.execute("BEGIN IMMEDIATE")
            done = _select(connection, owner, bundle, [key]).get(key) == held
            if done:
                _put(connection, owner, bundle, entries, seconds)
            else:
                done = _select(connection, owner, bundle, list(entries)) == dict(entries)
            connection.execute("COMMIT")
            return done

        return await self._writing.run(work)

    async def drop(self, owner: str, bundles: Collection[str]) -> None:
        """Delete the bundles' rows."""
        query = "SELECT id FROM bundle WHERE owner = ? AND name = ?"
        for bundle in bundles:
            await self._take_out(query, owner, bundle)

    async def drop_owner(self, owner: str) -> None:
        """Delete the owner's rows."""
        while await self._take_out("SELECT id FROM bundle WHERE owner = ? LIMIT 1", owner):
            pass

    async def size(self, owner: str) -> int:
        """Read from the row headers, not from the values."""
        query = (
            "SELECT coalesce(sum(length(value)), 0) FROM durable JOIN bundle ON id = bundle"
            " WHERE owner = ?"
        )
        row = await self._reading.run(lambda c: c.execute(query, (owner,)).fetchone())
        return int(row[0])

    async def sweep(self) -> None:
        """Delete the rows of what has expired."""
        now = time.time()
        while await self._take_out("SELECT id FROM bundle WHERE expires <= ? LIMIT 1", now):
            pass

    async def risks(self) -> list[str]:
        """None: nothing but this program takes anything out of the file."""
        return []

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._writing.close()

    async def _take_out(self, query: str, *values: str | float) -> bool:
        """Delete the bundle whose id the query gives; False if there is none."""

        def work(connection: sqlite3.Connection) -> bool:
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute(query, values).fetchone()
            if found is not None:
                connection.execute("DELETE FROM durable WHERE bundle = ?", found)
                connection.execute("DELETE FROM bundle WHERE id = ?", found)
            connection.execute("COMMIT")
            return found is not None

        return await self._writing.run(work)


def _select(
    connection: sqlite3.Connection, owner: str, bundle: str, keys: Sequence[str]
) -> dict[str, bytes]:
    found = connection.execute(
        "SELECT key, value FROM bundle JOIN durable ON bundle = id"
        " WHERE owner = ? AND name = ? AND expires > ?"
        " AND key IN (SELECT value FROM json_each(?))",
        (owner, bundle, time.time(), json.dumps(keys)),
    )
    return dict(found.fetchall())


def _put(
    connection: sqlite3.Connection,
    owner: str,
    bundle: str,
    entries: Mapping[str, bytes],
    seconds: float,
) -> None:
    """What had expired, and was not yet swept out, is not taken up again."""
    now = time.time()
    connection.execute(
        "DELETE FROM durable WHERE bundle ="
        " (SELECT id FROM bundle WHERE owner = ? AND name = ? AND expires <= ?)",
        (owner, bundle, now),
    )
    ((number,),) = connection.execute(
        "INSERT INTO bundle (owner, name, expires) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET expires = excluded.expires RETURNING id",
        (owner, bundle, now + seconds),
    ).fetchall()
    connection.executemany(
        "INSERT INTO durable VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        [(number, key, value) for key, value in entries.items()],
    )
