"""Design §7: the strings of an account in the store, in chunks.

All of it is rebuildable. A chunk's key names the Emails it is about, so a chunk that was written
for another index, in which the same rows were other messages, is never read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from hashlib import blake2b

from gateway.obs.log import get_logger
from gateway.store.base import Durable, Store, StoreError
from gateway.sync import strings
from gateway.sync.data import AccountData
from gateway.sync.strings import CHUNK_ROWS, StringColumn

log = get_logger(__name__)

_CHUNKS_AT_ONCE = 64


class Shelf:
    """The store, for the strings of one account."""

    def __init__(self, store: Store, account_id: str) -> None:
        self._store = store
        self._account = account_id

    @property
    def durable(self) -> Durable:
        """What the same store has of values that nobody could make again."""
        return self._store.durable

    async def save(self, data: AccountData) -> None:
        """Write the chunks that are full and not yet written, a few at a time."""
        for name, column in data.strings.items():
            full = [
                n for n in sorted(column.unsaved) if (n + 1) * CHUNK_ROWS <= data.committed.rows
            ]
            for start in range(0, len(full), _CHUNKS_AT_ONCE):
                numbers = full[start : start + _CHUNKS_AT_ONCE]
                column.unsaved.difference_update(numbers)
                entries = {_key(data, name, n): await packed(column, n) for n in numbers}
                await self._store.save(self._account, entries)

    async def fill(self, data: AccountData, name: str, numbers: Iterable[int]) -> None:
        """Bring chunks of a column into memory, those that the store has and can give."""
        keys = {_key(data, name, n): n for n in numbers if (n + 1) * CHUNK_ROWS <= data.emails.size}
        if not keys:
            return
        found: Mapping[str, bytes] = {}
        try:
            found = await self._store.load_many(self._account, list(keys))
        except StoreError as error:
            log.warning("load_failed", reason=error.reason)
        for key, octets in found.items():
            data.strings[name].load(keys[key], octets)

    async def fill_all(self, data: AccountData) -> None:
        """Bring all chunks into memory that the store has."""
        every = range(data.emails.size // CHUNK_ROWS)
        for name in data.strings:
            for start in range(0, len(every), _CHUNKS_AT_ONCE):
                await self.fill(data, name, every[start : start + _CHUNKS_AT_ONCE])


def keys(data: AccountData) -> set[str]:
    """What all full chunks are called in the store."""
    every = range(data.emails.size // CHUNK_ROWS)
    return {_key(data, name, number) for name in data.strings for number in every}


def _key(data: AccountData, name: str, number: int) -> str:
    emails = data.emails.key[number * CHUNK_ROWS : (number + 1) * CHUNK_ROWS]
    return f"{name}.{number}.{blake2b(emails.tobytes(), digest_size=8).hexdigest()}"


async def packed(column: StringColumn, number: int) -> bytes:
    """The packed form of a chunk, made in a thread when there is none."""
    while (octets := column.packed(number)) is None:
        raw = column.raw(number)
        column.set_packed(number, raw, await asyncio.to_thread(strings.pack, raw))
    return octets
