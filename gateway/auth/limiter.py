"""RFC 8620 §8.5: guessing passwords through the gateway is slow, for one user and for many.

Failures are counted in moving windows, for each (address block, user) and, more of them, for each
address block; from another block the user is not disturbed. A block is what one attacker easily
has: a /24 of IPv4, a /64 of IPv6. Successes never count, so an office behind one address is
limited by its mistakes only.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute

from gateway.auth.errors import TooManyAttempts
from gateway.auth.slots import NoSlot, Slots
from gateway.store.windows import Windows

# A neighbourhood has several users, each of whom may mistype.
_USERS_PER_BLOCK = 4
# Attempts under way may fail after the limit was looked at; so few of them run at once that this
# hardly matters (at most 16 more failures in a block). The rest wait for their turn.
_RUNNING_PER_BLOCK = 16
_WAITING_PER_BLOCK = 1000
# How long an attempt may wait for its turn, and what the client is told when it did in vain.
_WAIT_SECONDS = 30.0


class FailureLimiter:
    """Refuses login attempts where too many have failed; see `attempt`."""

    def __init__(self, windows: Windows, *, per_minute: int, per_day: int) -> None:
        self._per_user = (RateLimitItemPerMinute(per_minute), RateLimitItemPerDay(per_day))
        self._per_block = (
            RateLimitItemPerMinute(per_minute * _USERS_PER_BLOCK),
            RateLimitItemPerDay(per_day * _USERS_PER_BLOCK),
        )
        self._windows = windows
        self._turns = Slots(
            running=_RUNNING_PER_BLOCK, waiting=_WAITING_PER_BLOCK, seconds=_WAIT_SECONDS
        )

    @asynccontextmanager
    async def attempt(self, address: str, username: str) -> AsyncIterator[None]:
        """Try to log in inside the block, which calls `failed` when the password is wrong.

        Raises TooManyAttempts instead of entering the block.
        """
        try:
            async with self._turns.slot(address_block(address)):
                await self._check(address, username)
                yield
        except NoSlot:
            raise TooManyAttempts(math.ceil(_WAIT_SECONDS)) from None

    async def failed(self, address: str, username: str) -> None:
        """Count one wrong password."""
        for limit, key in self._limits(address, username):
            await self._windows.add(limit, *key)

    async def _check(self, address: str, username: str) -> None:
        for limit, key in self._limits(address, username):
            left = await self._windows.left(limit, *key)
            if left.remaining <= 0:
                raise TooManyAttempts(max(1, math.ceil(left.seconds)))

    def _limits(self, address: str, username: str) -> list[tuple[RateLimitItem, tuple[str, ...]]]:
        block = address_block(address)
        return [
            *((limit, ("user", block, username)) for limit in self._per_user),
            *((limit, ("block", block)) for limit in self._per_block),
        ]


def address_block(address: str) -> str:
    """The /24 or /64 an address is in; an IPv4-mapped IPv6 address is the IPv4 address.

    Text that is no address is its own block.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 64), strict=False))
