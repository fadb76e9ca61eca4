"""Design §7, §12: the store that several processes and nodes share: a Redis server.

An account is one hash, `jmap-gateway:{OWNER}:cache`. So it is evicted whole or not at all, and
the braces keep what else is filed about it on the same node of a cluster. It expires when nobody
has used it for a long time, which also makes it what the `volatile-*` policies evict.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from gateway.store.redis_durable import RedisDurable
from gateway.store.redis_hashes import Hashes, reading

_DAY_SECONDS = 24 * 3600

EXPIRY_SECONDS = 60 * _DAY_SECONDS
"""Twice as long as change logs are kept: nothing a client could still build on is lost by it."""


class RedisBackend:
    """Connects when first used, and again when a connection was lost."""

    def __init__(self, url: str) -> None:
        self._hashes = Hashes(url)
        self.durable = RedisDurable(self._hashes)
        self._today = 0.0
        self._read_today: set[str] = set()

    async def read(self, owner: str, keys: Sequence[str]) -> dict[str, bytes]:
        """What is read is in use, so its expiry is put off, once a day."""
        put_off = EXPIRY_SECONDS if self._first_today(owner) else None
        return await self._hashes.read(_name(owner), keys, put_off)

    async def write(self, owner: str, entries: Mapping[str, bytes | None]) -> None:
        """Writing puts the expiry off, too."""
        await self._hashes.write(_name(owner), entries, EXPIRY_SECONDS)

    async def swap(
        self, owner: str, key: str, held: bytes | None, entries: Mapping[str, bytes | None]
    ) -> bool:
        """And so does this."""
        return await self._hashes.swap(_name(owner), key, held, entries, EXPIRY_SECONDS)

    async def drop(self, owner: str) -> None:
        """Take the hash out."""
        await self._hashes.drop(_name(owner))

    async def size(self, owner: str) -> int:
        """The lengths of all values, which stay on the server."""
        return await self._hashes.size(_name(owner))

    def _first_today(self, owner: str) -> bool:
        today = time.monotonic() // _DAY_SECONDS
        if today != self._today:
            self._today = today
            self._read_today.clear()
        first = owner not in self._read_today
        self._read_today.add(owner)
        return first

    async def close(self) -> None:
        """Close all connections."""
        await self._hashes.client.aclose(close_connection_pool=True)

    async def ping(self) -> None:
        """One round trip."""
        await reading(self._hashes.client.ping)


def _name(owner: str) -> str:
    return f"jmap-gateway:{{{owner}}}:cache"
