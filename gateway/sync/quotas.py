"""RFC 9208, RFC 9425: the bounds of what a user may store, as the mail server told them last.

There are few of them, so their state is what they are: whoever has one knows what they were.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterable
from typing import Final

import msgpack

from gateway.imap.commands.quota import Quota, quotas
from gateway.imap.connection import Connection
from gateway.imap.pool import Pool
from gateway.sync.attempts import attempt
from gateway.sync.journal import UnknownState

FOLLOW_SECONDS: Final = 5.0
"""So long at least is between two looks that nobody waits for."""
_DEADLINE: Final = 30.0
# Of a mailbox that all have; quota roots that hold for others alone are rare.
_INBOX: Final = b"INBOX"
_MOST: Final = 32
_VERSION: Final = 1


class Quotas:
    """The bounds of a user's own account; is_supported: whether the server tells them at all."""

    def __init__(self, pool: Pool, *, is_supported: bool) -> None:
        self.is_supported = is_supported
        self._pool = pool
        self._lock = asyncio.Lock()
        self._known: tuple[Quota, ...] | None = None
        self._asked_at = float("-inf")

    @property
    def state(self) -> str | None:
        """The state as of the last look; None before that."""
        return state_of(self._known) if self._known is not None else None

    async def fresh(self, seconds: float = 0.0) -> tuple[Quota, ...]:
        """What holds, as of so many seconds ago at most. Raises ImapError."""
        asked = time.monotonic()
        async with self._lock:
            if self._known is None or self._asked_at < asked - seconds:
                self._known = await attempt(self._pool, _ask, deadline=_DEADLINE)
                self._asked_at = time.monotonic()
            return self._known

    async def look(self) -> bool:
        """Whether they are others than at the last look; not too soon after that.

        Raises ImapError.
        """
        await asyncio.sleep(self._asked_at + FOLLOW_SECONDS - time.monotonic())
        before = self._known
        return await self.fresh() != before


async def _ask(connection: Connection) -> tuple[Quota, ...]:
    found = {(each.root, each.resource): each for each in await quotas(connection, _INBOX)}
    return tuple(found[name] for name in sorted(found)[:_MOST])


def state_of(held: Iterable[Quota]) -> str:
    """The state in which these are what there is."""
    fields = [_VERSION, *((q.root, q.resource, q.used, q.limit) for q in held)]
    return base64.urlsafe_b64encode(msgpack.packb(fields)).decode().rstrip("=")


def held_in(state: str) -> tuple[Quota, ...]:
    """Inverse of state_of(). Raises UnknownState."""
    try:
        version, *held = msgpack.unpackb(base64.urlsafe_b64decode(state + "=" * (-len(state) % 4)))
        if version != _VERSION or len(held) > _MOST:
            raise UnknownState(state)
        found = tuple(Quota(root, resource, used, limit) for root, resource, used, limit in held)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException):
        raise UnknownState(state) from None
    if state_of(found) != state:
        raise UnknownState(state)
    return found
