"""Design §7: the Store that callers see, over any backend.

Here, once for all backends: accounts become HMACs, values are framed and checked, and what does
not open is logged and counts as a miss.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from gateway.obs.log import get_logger
from gateway.store import keys as names
from gateway.store.base import Backend, DurableBackend
from gateway.store.envelope import Unsealable, seal, unseal
from gateway.store.hiding import hidden, revealed

LARGE_OCTETS = 256 * 1024
"""Above this, framing and checking takes a millisecond or more, and is done in a thread."""

_log = get_logger(__name__)


class SealedStore:
    """Implements `base.Store`. Waiting, deadlines and StoreErrors are the backend's."""

    def __init__(self, backend: Backend, secret: bytes) -> None:
        self._backend = backend
        self._secret = secret
        self.durable = SealedDurable(backend.durable, secret)

    async def load(self, account: str, key: str) -> bytes | None:
        """See `Store.load`."""
        return (await self.load_many(account, (key,))).get(key)

    async def load_many(self, account: str, keys: Sequence[str]) -> dict[str, bytes]:
        """See `Store.load_many`."""
        wanted = [names.check(key) for key in keys]
        if not wanted:
            return {}
        frames = _Frames(self._secret, account)
        return await frames.opened(await self._backend.read(frames.owner, wanted))

    async def save(self, account: str, entries: Mapping[str, bytes | None]) -> None:
        """See `Store.save`."""
        frames = _Frames(self._secret, account)
        sealed = await frames.sealed_or_gone(entries)
        if sealed:
            await self._backend.write(frames.owner, sealed)

    async def replace(
        self, account: str, key: str, expected: bytes | None, entries: Mapping[str, bytes | None]
    ) -> bool:
        """See `Store.replace`. What does not open is replaced only while it is what was read."""
        frames = _Frames(self._secret, account)
        held = (await frames.sealed_or_gone({key: expected}))[key]
        sealed = await frames.sealed_or_gone({key: expected, **entries})
        return await _replace(
            frames,
            key,
            held,
            lambda: self._backend.read(frames.owner, (key,)),
            lambda held: self._backend.swap(frames.owner, key, held, sealed),
        )

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


class SealedDurable:
    """Implements `base.Durable`."""

    def __init__(self, backend: DurableBackend, secret: bytes) -> None:
        self._backend = backend
        self._secret = secret

    async def load(self, account: str, bundle: str, keys: Sequence[str]) -> dict[str, bytes]:
        """See `Durable.load`."""
        wanted = [names.check(key) for key in keys]
        frames = _Frames(self._secret, account, names.check(bundle))
        return await frames.opened(await self._backend.read(frames.owner, bundle, wanted))

    async def keep(
        self, account: str, bundle: str, entries: Mapping[str, bytes], seconds: float
    ) -> None:
        """See `Durable.keep`."""
        frames = _Frames(self._secret, account, names.check(bundle))
        sealed = await frames.sealed(entries)
        await self._backend.write(frames.owner, bundle, sealed, seconds)

    async def replace(
        self,
        account: str,
        bundle: str,
        key: str,
        expected: bytes | None,
        entries: Mapping[str, bytes],
        seconds: float,
    ) -> bool:
        """See `Durable.replace`."""
        frames = _Frames(self._secret, account, names.check(bundle))
        sealed = await frames.sealed(entries)
        held = (await frames.sealed_or_gone({key: expected}))[key]
        return await _replace(
            frames,
            key,
            held,
            lambda: self._backend.read(frames.owner, bundle, (key,)),
            lambda held: self._backend.swap(frames.owner, bundle, key, held, sealed, seconds),
        )

    async def drop(self, account: str, bundles: Collection[str]) -> None:
        """See `Durable.drop`."""
        gone = [names.check(bundle) for bundle in bundles]
        if gone:
            await self._backend.drop(names.owner(self._secret, account), gone)

    async def delete_account(self, account: str) -> None:
        """See `Durable.delete_account`."""
        await self._backend.drop_owner(names.owner(self._secret, account))

    async def size(self, account: str) -> int:
        """See `Durable.size`."""
        return await self._backend.size(names.owner(self._secret, account))

    async def sweep(self) -> None:
        """See `Durable.sweep`."""
        await self._backend.sweep()

    async def risks(self) -> list[str]:
        """See `Durable.risks`."""
        return await self._backend.risks()

    def hide(self, account: str, octets: bytes) -> bytes:
        """See `Durable.hide`."""
        return hidden(self._secret, account, octets)

    def reveal(self, account: str, octets: bytes) -> bytes | None:
        """See `Durable.reveal`."""
        return revealed(self._secret, account, octets)


class _Frames:
    """Frames of an account's values: its rebuildable ones, or those of one durable bundle.

    A value is sealed for the bundle, too; no key has a blank.
    """

    def __init__(self, secret: bytes, account: str, bundle: str | None = None) -> None:
        self.owner = names.owner(secret, account)
        self._secret = secret
        self._account = account
        self._place = "" if bundle is None else f"{bundle} "

    async def sealed(self, entries: Mapping[str, bytes]) -> dict[str, bytes]:
        """What to store. Raises ValueError for a key that is none."""
        return await _beside(self._seal, entries)

    async def sealed_or_gone(self, entries: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
        """As `sealed`, None staying what it is."""
        sealed = await self.sealed({k: v for k, v in entries.items() if v is not None})
        return {names.check(key): sealed.get(key) for key in entries}

    async def opened(self, found: Mapping[str, bytes]) -> dict[str, bytes]:
        """What can be trusted."""
        return await _beside(self._open, found)

    def _seal(self, entries: Mapping[str, bytes]) -> dict[str, bytes]:
        return {
            names.check(key): seal(self._secret, self._account, self._place + key, payload)
            for key, payload in entries.items()
        }

    def _open(self, found: Mapping[str, bytes]) -> dict[str, bytes]:
        values: dict[str, bytes] = {}
        for key, octets in found.items():
            name = self._place + key
            try:
                values[key] = unseal(self._secret, self._account, name, octets)
            except Unsealable as error:
                _log.warning("stored value ignored", owner=self.owner, key=name, reason=str(error))
        return values


async def _replace(
    frames: _Frames,
    key: str,
    expected: bytes | None,
    read: Callable[[], Awaitable[dict[str, bytes]]],
    swap: Callable[[bytes | None], Awaitable[bool]],
) -> bool:
    """Write where there is what is expected, sealed; or nothing that opens, if nothing is."""
    held = expected
    while not await swap(held):
        if expected is not None:
            return False
        found = await read()
        if await frames.opened(found):
            return False
        held = found.get(key)
    return True


async def _beside(
    work: Callable[[Mapping[str, bytes]], dict[str, bytes]], values: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Do the work, beside everything else if the values are large."""
    if sum(map(len, values.values())) > LARGE_OCTETS:
        return await asyncio.to_thread(work, values)
    return work(values)
