"""Design §7: the store of one process, for trials and tests; it ends with the process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from gateway.store.memory_durable import MemoryDurable

MAX_BYTES = 256 * 1024 * 1024
"""Octets of rebuildable values held for all accounts together; and of durable ones."""


class MemoryBackend:
    """A dictionary per account under one bound in octets.

    What goes first is the account least recently used, always whole: parts of one account that
    outlive the others would be of no use. An account larger than the bound is not kept at all.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.durable = MemoryDurable(max_bytes)
        self._max_bytes = max_bytes
        self._held = 0
        self._accounts: OrderedDict[str, dict[str, bytes]] = OrderedDict()

    async def read(self, owner: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The values there are; the account becomes the one last used."""
        account = self._accounts.get(owner)
        if account is None:
            return {}
        self._accounts.move_to_end(owner)
        return {key: account[key] for key in keys if key in account}

    async def write(self, owner: str, entries: Mapping[str, bytes | None]) -> None:
        """Nothing else runs in between: nothing is awaited that would wait."""
        account = self._accounts.setdefault(owner, {})
        self._accounts.move_to_end(owner)
        for key, value in entries.items():
            self._held -= len(account.pop(key, b""))
            if value is not None:
                account[key] = value
                self._held += len(value)
        if not account:
            del self._accounts[owner]
        while self._held > self._max_bytes:
            await self.drop(next(iter(self._accounts)))

    async def swap(
        self, owner: str, key: str, held: bytes | None, entries: Mapping[str, bytes | None]
    ) -> bool:
        """The comparison and the writing are one step, as in `write`."""
        account = self._accounts.get(owner, {})
        if account.get(key) == held:
            await self.write(owner, entries)
            return True
        return all(account.get(name) == value for name, value in entries.items())

    async def drop(self, owner: str) -> None:
        """Forget one account."""
        self._held -= await self.size(owner)
        self._accounts.pop(owner, None)

    async def size(self, owner: str) -> int:
        """Octets of its values."""
        return sum(map(len, self._accounts.get(owner, {}).values()))

    async def close(self) -> None:
        """Forget all."""
        self._accounts.clear()
        self._held = 0
        self.durable.clear()

    async def ping(self) -> None:
        """Always well."""
