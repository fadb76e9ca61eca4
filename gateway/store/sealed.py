"""Design §7: the Store that callers see, over any backend.

Here, once for all backends: accounts become HMACs, values are framed and checked, and what does
not open is logged and counts as a miss.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from gateway.obs.log import get_logger
from gateway.store import keys as names
from gateway.store.base import Backend
from gateway.store.envelope import Unsealable, seal, unseal

T = TypeVar("T")
Value = TypeVar("Value", bound=bytes | None)

LARGE_OCTETS = 256 * 1024
"""Above this, framing and checking takes a millisecond or more, and is done in a thread."""

_log = get_logger(__name__)


class SealedStore:
    """Implements `base.Store`. Waiting, deadlines and StoreErrors are the backend's."""

    def __init__(self, backend: Backend, secret: bytes) -> None:
        self._backend = backend
        self._secret = secret

    async def load(self, account: str, key: str) -> bytes | None:
        """See `Store.load`."""
        return (await self.load_many(account, (key,))).get(key)

    async def load_many(self, account: str, keys: Sequence[str]) -> dict[str, bytes]:
        """See `Store.load_many`."""
        wanted = [names.check(key) for key in keys]
        if not wanted:
            return {}
        found = await self._backend.read(names.owner(self._secret, account), wanted)
        return await _beside(self._opened, account, found)

    async def save(self, account: str, entries: Mapping[str, bytes | None]) -> None:
        """See `Store.save`."""
        sealed = await _beside(self._sealed, account, entries)
        if sealed:
            await self._backend.write(names.owner(self._secret, account), sealed)

    async def replace(
        self, account: str, key: str, expected: bytes | None, entries: Mapping[str, bytes | None]
    ) -> bool:
        """See `Store.replace`. What does not open is replaced only while it is what was read."""
        owner = names.owner(self._secret, account)
        held = (await _beside(self._sealed, account, {key: expected}))[key]
        sealed = await _beside(self._sealed, account, {key: expected, **entries})
        while not await self._backend.swap(owner, key, held, sealed):
            if expected is not None:
                return False
            found = await self._backend.read(owner, (key,))
            if await _beside(self._opened, account, found):
                return False
            held = found.get(key)
        return True

    async def delete_account(self, account: str) -> None:
        """See `Store.delete_account`."""
        await self._backend.drop(names.owner(self._secret, account))

    async def size(self, account: str) -> int:
        """See `Store.size`."""
        return await self._backend.size(names.owner(self._secret, account))

    async def close(self) -> None:
        """See `Store.close`."""
        await self._backend.close()

    async def ping(self) -> None:
        """See `Store.ping`."""
        await self._backend.ping()

    def _sealed(self, account: str, entries: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
        return {
            names.check(key): None if payload is None else seal(self._secret, account, key, payload)
            for key, payload in entries.items()
        }

    def _opened(self, account: str, found: Mapping[str, bytes]) -> dict[str, bytes]:
        """What can be trusted."""
        values: dict[str, bytes] = {}
        for key, octets in found.items():
            try:
                values[key] = unseal(self._secret, account, key, octets)
            except Unsealable as error:
                owner = names.owner(self._secret, account)
                _log.warning("stored value ignored", owner=owner, key=key, reason=str(error))
        return values


async def _beside(
    work: Callable[[str, Mapping[str, Value]], T], account: str, values: Mapping[str, Value]
) -> T:
    """Do the work, beside everything else if the values are large."""
    if sum(len(value) for value in values.values() if value is not None) > LARGE_OCTETS:
        return await asyncio.to_thread(work, account, values)
    return work(account, values)
