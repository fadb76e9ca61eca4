"""Design §7: what the rest of the gateway may ask of the store.

Two kinds of data go in. *Rebuildable* ones (maps, index, change log) may vanish at any moment: what
IMAP can tell is made again from it, and where the log is gone, clients hear cannotCalculateChanges.
*Durable* ones (uploads) nobody could make again: they stay until their time has come. `Store` and
its `Durable` are what callers see; `Backend` and `DurableBackend` are the little a database has to
do for them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
    """Rebuildable octets by (account, key). Every method raises StoreError or StoreUnavailable.

    `account` is the canonical user name, compared octet by octet: folding case or Unicode forms
    is the caller's decision, never the store's. `key` matches `[A-Za-z0-9][A-Za-z0-9._:/-]*`, at
    most 200 characters, else ValueError. Values are a few kB to a few MB each, opaque here.
    """

    @property
    def durable(self) -> Durable:
        """What is beside the rebuildable data, and shares its database only."""
        ...

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
        """Forget everything rebuildable that is held for this account."""
        ...

    async def size(self, account: str) -> int:
        """Octets of the rebuildable values held for this account, with their frames."""
        ...

    async def close(self) -> None:
        """Let go of files and sockets, once or more often; nothing may be asked afterwards."""
        ...

    async def ping(self) -> None:
        """Return when the backend answers; raise StoreError when it does not."""
        ...


class Durable(Protocol):
    """Octets by (account, bundle, key) that stay, and are never evicted to make room for others.

    A *bundle* is what goes at one time: all its values are kept for the `seconds` that the latest
    `keep` or `replace` gave. `bundle` and `key` are of the form of a `Store`'s keys. What was
    written is on disk, where the database has one, before the call returns. Every method raises
    StoreError or StoreUnavailable.
    """

    async def load(self, account: str, bundle: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The values there are, by key, all as of one instant."""
        ...

    async def keep(
        self, account: str, bundle: str, entries: Mapping[str, bytes], seconds: float
    ) -> None:
        """Write all entries, of which there is at least one, or none; others of the bundle stay."""
        ...

    async def replace(
        self,
        account: str,
        bundle: str,
        key: str,
        expected: bytes | None,
        entries: Mapping[str, bytes],
        seconds: float,
    ) -> bool:
        """As `keep`, on the condition and with the answer of `Store.replace`."""
        ...

    async def drop(self, account: str, bundles: Collection[str]) -> None:
        """Let go of bundles before their time; each of them whole or not at all."""
        ...

    async def delete_account(self, account: str) -> None:
        """Let go of everything durable that is held for this account."""
        ...

    async def size(self, account: str) -> int:
        """Octets of the durable values held for this account, with their frames."""
        ...

    async def sweep(self) -> None:
        """Free the room of what has expired. To be called now and then; nobody sees such values."""
        ...

    async def risks(self) -> list[str]:
        """What may let durable values vanish early, as the database is set up; for its operator."""
        ...

    def hide(self, account: str, octets: bytes) -> bytes:
        """The octets as nobody who reads the database can make them out."""
        ...

    def reveal(self, account: str, octets: bytes) -> bytes | None:
        """Inverse of hide(); None if they are of another account, or of another secret."""
        ...


class Backend(Protocol):
    """Sealed octets by (owner, key), `owner` being `keys.owner(...)`; see `SealedStore`."""

    @property
    def durable(self) -> DurableBackend:
        """The part of the database that is for durable values."""
        ...

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


class DurableBackend(Protocol):
    """Sealed octets by (owner, bundle, key); see `SealedDurable`.

    Values of a bundle whose time has come are never given, and nothing is written beside them.
    """

    async def read(self, owner: str, bundle: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The values there are, by key, all as of one instant."""
        ...

    async def write(
        self, owner: str, bundle: str, entries: Mapping[str, bytes], seconds: float
    ) -> None:
        """Write all entries or none; the bundle stays for so long from now on."""
        ...

    async def swap(
        self,
        owner: str,
        bundle: str,
        key: str,
        held: bytes | None,
        entries: Mapping[str, bytes],
        seconds: float,
    ) -> bool:
        """As `write`, on the condition and with the answer of `Backend.swap`."""
        ...

    async def drop(self, owner: str, bundles: Collection[str]) -> None:
        """Forget bundles."""
        ...

    async def drop_owner(self, owner: str) -> None:
        """Forget all bundles of the owner."""
        ...

    async def size(self, owner: str) -> int:
        """Octets of the values held for the owner."""
        ...

    async def sweep(self) -> None:
        """Forget what has expired."""
        ...

    async def risks(self) -> list[str]:
        """What in the set-up of the database may let values vanish early."""
        ...
