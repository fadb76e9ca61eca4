"""Design §12: which parts of the work this node does, as it says in the store."""

from __future__ import annotations

import secrets
import time
from typing import Final

from gateway.store.base import Durable, StoreError
from gateway.sync.errors import NotCommitted

_OWNER: Final = "push"
_KEY: Final = "node"
# A node that has not said for so long that it is there is not.
_LEASE_SECONDS: Final = 120.0
_RENEWED_AFTER: Final = 40.0


class Parts:
    """The parts of one node."""

    def __init__(self, durable: Durable) -> None:
        self._durable = durable
        self._node = secrets.token_bytes(8)
        self._until: dict[int, float] = {}

    async def hold(self, part: int) -> bool:
        """Whether this node does the part, which it takes if nobody does. Raises NotCommitted."""
        now = time.monotonic()
        if now < self._until.get(part, 0.0) - _LEASE_SECONDS + _RENEWED_AFTER:
            return True
        try:
            found = await self._durable.load(_OWNER, _bundle(part), (_KEY,))
            holder = found.get(_KEY)
            is_held = holder in (None, self._node) and await self._durable.replace(
                _OWNER, _bundle(part), _KEY, holder, {_KEY: self._node}, _LEASE_SECONDS
            )
        except StoreError as error:
            if now < self._until.get(part, 0.0):
                return True  # nobody else can have taken it
            raise NotCommitted("the store of who does what fails") from error
        if is_held:
            self._until[part] = now + _LEASE_SECONDS
        else:
            self._until.pop(part, None)
        return is_held

    async def leave(self) -> None:
        """Let others have them at once."""
        held = [part for part, until in self._until.items() if time.monotonic() < until]
        try:
            if held:
                await self._durable.drop(_OWNER, [_bundle(part) for part in held])
        except StoreError:
            pass  # they wait


def _bundle(part: int) -> str:
    return f"part/{part}"
