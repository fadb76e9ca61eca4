"""Design §7: durable values in Redis: a hash per bundle, `jmap-gateway:{OWNER}:durable:BUNDLE`.

Redis lets go of a hash when its time has come. How it is set up decides whether it does so before:
`risks` says what is wrong.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from redis.exceptions import NoPermissionError

from gateway.store.base import StoreError
from gateway.store.redis_hashes import CONNECTIONS, Hashes, reading, writing

_AT_ONCE = CONNECTIONS // 2
_SCANNED = 1000  # keys that Redis looks at without doing anything else


class RedisDurable:
    """Large values never take all connections: the others are for whoever waits for the index.

    The wait for a turn is within the deadline.
    """

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = hashes
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def read(self, owner: str, bundle: str, keys: Sequence[str]) -> dict[str, bytes]:
        """One HMGET."""
        async with writing(), self._turns:
            return await self._hashes.read(_name(owner, bundle), keys)

    async def write(
        self, owner: str, bundle: str, entries: Mapping[str, bytes], seconds: float
    ) -> None:
        """One MULTI, so that nothing stays for ever."""
        async with writing(), self._turns:
            await self._hashes.write(_name(owner, bundle), entries, math.ceil(seconds))

    async def swap(
        self,
        owner: str,
        bundle: str,
        key: str,
        held: bytes | None,
        entries: Mapping[str, bytes],
        seconds: float,
    ) -> bool:
        """One script."""
        async with writing(), self._turns:
            return await self._hashes.swap(
                _name(owner, bundle), key, held, entries, math.ceil(seconds)
            )

    async def drop(self, owner: str, bundles: Collection[str]) -> None:
        """One UNLINK."""
        await self._hashes.drop(*(_name(owner, bundle) for bundle in bundles))

    async def drop_owner(self, owner: str) -> None:
        """Look through all keys for those of the owner."""
        if names := await self._names(owner):
            await self._hashes.drop(*names)

    async def size(self, owner: str) -> int:
        """As `drop_owner`; the values stay on the server."""
        return sum([await self._hashes.size(name) for name in await self._names(owner)])

    async def sweep(self) -> None:
        """Redis does it."""

    async def risks(self) -> list[str]:
        """What INFO says about eviction and persistence."""
        client = self._hashes.client
        try:
            memory: dict[str, Any] = await reading(lambda: client.info("memory"))
            persistence: dict[str, Any] = await reading(lambda: client.info("persistence"))
        except StoreError as error:
            if isinstance(error.__cause__, NoPermissionError):
                return ["the Redis user may not ask with INFO how eviction is set up"]
            raise
        found = []
        if memory["maxmemory"] and memory["maxmemory_policy"] != "noeviction":
            policy = memory["maxmemory_policy"]
            found.append(f"maxmemory-policy is {policy}, not noeviction: a full Redis evicts them")
        if not persistence["aof_enabled"]:
            found.append("appendonly is off: a Redis that stops forgets the latest of them")
        return found

    async def _names(self, owner: str) -> list[str]:
        pattern = _name(owner, "*")
        client = self._hashes.client

        async def command() -> list[str]:
            found = client.scan_iter(match=pattern, count=_SCANNED)
            return [name.decode() async for name in found]

        return await reading(command)


def _name(owner: str, bundle: str) -> str:
    return f"jmap-gateway:{{{owner}}}:durable:{bundle}"
