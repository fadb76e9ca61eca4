"""Design §7: the Store that callers see, over any backend.

Here, once for all backends: accounts become HMACs, values are framed and checked, and what does
not open is logged and counts as a miss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.obs.log import get_logger
from gateway.store import keys as names
from gateway.store.base import Backend
from gateway.store.envelope import Unsealable, seal, unseal

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
        owner = names.owner(self._secret, account)
        found = await self._backend.read(owner, wanted)
        opened = {key: self._open(account, key, octets) for key, octets in found.items()}
        return {key: payload for key, payload in opened.items() if payload is not None}

    async def save(self, account: str, entries: Mapping[str, bytes | None]) -> None:
        """See `Store.save`."""
        sealed = self._sealed(account, entries)
        if sealed:
            await self._backend.write(names.owner(self._secret, account), sealed)

    async def replace(
        self, account: str, key: str, expected: bytes | None, entries: Mapping[str, bytes | None]
    ) -> bool:
        """See `Store.replace`. What does not open is replaced only while it is what was read."""
        owner = names.owner(self._secret, account)
        sealed = self._sealed(account, {key: expected, **entries})
        held = self._sealed(account, {key: expected})[key]
        while not await self._backend.swap(owner, key, held, sealed):
            if expected is not None:
                return False
            held = (await self._backend.read(owner, (key,))).get(key)
            if held is not None and self._open(account, key, held) is not None:
                return False
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

    def _open(self, account: str, key: str, octets: bytes) -> bytes | None:
        try:
            return unseal(self._secret, account, key, octets)
        except Unsealable as error:
            owner = names.owner(self._secret, account)
            _log.warning("stored value ignored", owner=owner, key=key, reason=str(error))
            return None
