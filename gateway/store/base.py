"""Design §7: what the rest of the gateway may ask of the store.

Only *rebuildable* data goes in: maps, index, change log. Every value may vanish at any moment;
what IMAP can tell is made again from it, and where the log is gone, clients hear
cannotCalculateChanges. `Store` is what callers see; `Backend` is the little a database has to do
for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

DEADLINE_SECONDS = 5.0
"""The longest any operation waits for its backend; then it ends in StoreUnavailable."""


class StoreError(Exception):
    """The store refused, or can not be used as it is set up.

    `backend` is "sqlite", "redis", "memory" or "secret"; `reason` is what that one said.
    """

    def __init__(self, backend: str, reason: str) -> None:
        super().__init__(f"{backend}: {reason}")
        self.backend = backend
        self.reason = reason


class StoreUnavailable(StoreError):
    """The store does not serve now; the same call may succeed later.

    What was to be written then is written whole or not at all; which of the two is not known, and
    it may still happen. Nothing is ever written twice.
    """


class Store(Protocol):
    """Octets by (account, key). Every method raises StoreError or StoreUnavailable.

    `account` is the canonical user name, compared octet by octet: folding case or Unicode forms
    is the caller's decision, never the store's. `key` matches `[A-Za-z0-9][A-Za-z0-9._:/-]*`, at
    most 200 characters, else ValueError. Values are a few kB to a few MB each, opaque here.
    """

    async def load(self, account: str, key: str) -> bytes | None:
        """The value as it was saved, or None: never saved, vanished, or no longer to be trusted."""
        ...

    async def load_many(self, account: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The values there are, by key, all as of one instant."""
        ...

    async def save(self, account: str, entries: Mapping[str, bytes | None]) -> None:
        """Write all entries at once, or none; None deletes."""
        ...

    async def replace(
        self, account: str, key: str, expected: bytes | None, entries: Mapping[str, bytes | None]
    ) -> bool:
        """Write all entries at once if the value at `key` is `expected`, else none; tell which.

        It is `expected` when `load` would give just that at this moment: None means that there is
        no value, or none that can be trusted. Of several callers, in whatever processes, that
        expect the same value and bring different ones for `key`, one succeeds.

        So that a call which ended in StoreUnavailable can be made again, it is a success, too, when
        everything is already as `entries` says.
        """
        ...

    async def delete_account(self, account: str) -> None:
        """Forget everything held for this account."""
        ...

    async def size(self, account: str) -> int:
        """Octets of the values held for this account, with their frames."""
        ...

    async def close(self) -> None:
        """Let go of files and sockets, once or more often; nothing may be asked afterwards."""
        ...

    async def ping(self) -> None:
        """Return when the backend answers; raise StoreError when it does not."""
        ...


class Backend(Protocol):
    """Sealed octets by (owner, key), `owner` being `keys.owner(...)`; see `SealedStore`."""

    async def read(self, owner: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The values there are, by key, all as of one instant."""
        ...

    async def write(self, owner: str, entries: Mapping[str, bytes | None]) -> None:
        """Write all entries, of which there is at least one, or none; None deletes."""
        ...

    async def swap(
        self, owner: str, key: str, held: bytes | None, entries: Mapping[str, bytes | None]
    ) -> bool:
        """As `write` if there is `held` at `key` (None: nothing), octet for octet; else nothing.

        `key` is one of `entries`. Whether they are in now: written, or found as they should be.
        """
        ...

    async def drop(self, owner: str) -> None:
        """Forget the owner."""
        ...

    async def size(self, owner: str) -> int:
        """Octets of the values held for the owner."""
        ...

    async def close(self) -> None:
        """Let go of files and sockets."""
        ...

    async def ping(self) -> None:
        """Return when the backend answers."""
        ...
