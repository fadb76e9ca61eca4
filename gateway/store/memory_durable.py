"""Design §7: durable values of one process, which last as long as it does."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.store.base import StoreUnavailable


@dataclass(slots=True)
class _Bundle:
    expires: float
    values: dict[str, bytes] = field(default_factory=dict)

    @property
    def octets(self) -> int:
        return sum(map(len, self.values.values()))


class MemoryDurable:
    """Bundles under one bound in octets; nothing but their time makes room."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = 0
        self._bundles: dict[tuple[str, str], _Bundle] = {}

    async def read(self, owner: str, bundle: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The values there are."""
        values = self._values(owner, bundle)
        return {key: values[key] for key in keys if key in values}

    async def write(
        self, owner: str, bundle: str, entries: Mapping[str, bytes], seconds: float
    ) -> None:
        """Nothing else runs in between. Raises StoreUnavailable when there is no room."""
        values = self._values(owner, bundle)
        more = sum(len(value) - len(values.get(key, b"")) for key, value in entries.items())
        if more > 0 and self._held + more > self._max_bytes:
            await self.sweep()
            if self._held + more > self._max_bytes:
                raise StoreUnavailable("memory", "full")
        kept = self._bundles.setdefault((owner, bundle), _Bundle(0.0))
        kept.expires = time.monotonic() + seconds
        kept.values.update(entries)
        self._held += more

    async def swap(
        self,
        owner: str,
        bundle: str,
        key: str,
        held: bytes | None,
        entries: Mapping[str, bytes],
        seconds: float,
    ) -> bool:
        """The comparison and the writing are one step."""
        values = self._values(owner, bundle)
        if values.get(key) == held:
            await self.write(owner, bundle, entries, seconds)
            return True
        return all(values.get(name) == value for name, value in entries.items())

    async def drop(self, owner: str, bundles: Collection[str]) -> None:
        """Forget bundles."""
        for bundle in bundles:
            self._forget((owner, bundle))

    async def drop_owner(self, owner: str) -> None:
        """Forget all bundles of the owner."""
        await self.drop(owner, [name for holder, name in self._bundles if holder == owner])

    async def size(self, owner: str) -> int:
        """Octets of the values."""
        return sum(b.octets for (holder, _), b in self._bundles.items() if holder == owner)

    async def sweep(self) -> None:
        """Forget what has expired."""
        now = time.monotonic()
        for place in [place for place, bundle in self._bundles.items() if bundle.expires <= now]:
            self._forget(place)

    async def risks(self) -> list[str]:
        """None: that it ends with the process is what was asked for."""
        return []

    def clear(self) -> None:
        """Forget all."""
        self._bundles.clear()
        self._held = 0

    def _values(self, owner: str, bundle: str) -> Mapping[str, bytes]:
        found = self._bundles.get((owner, bundle))
        if found is None:
            return {}
        if found.expires <= time.monotonic():
            self._forget((owner, bundle))
            return {}
        return found.values

    def _forget(self, place: tuple[str, str]) -> None:
        if bundle := self._bundles.pop(place, None):
            self._held -= bundle.octets
