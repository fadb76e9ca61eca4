"""Design §12: how many logins the mail server has to bear.

After a restart all clients come back at once, and each login costs the mail server a process.
"""

from __future__ import annotations

from asyncio import get_running_loop, sleep
from typing import Final

from gateway.imap.errors import ServerBusy

# Of a second's logins, these may come at once: the usual ones wait for nothing.
_BURST: Final = 0.2
# Whoever would have to wait for longer is told to come again.
_PATIENCE_SECONDS: Final = 30.0


class Pace:
    """So many turns in any second at most, first come, first served."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1.0 / (per_second * (1.0 - _BURST))
        self._burst = max(per_second * _BURST - 1.0, 0.0) * self._interval
        self._free_at = float("-inf")

    async def turn(self) -> None:
        """Wait for a turn. Raises ServerBusy when that would take too long."""
        now = get_running_loop().time()
        # A turn that nobody took is kept for later, but only so many of them.
        mine = max(self._free_at, now - self._burst)
        if mine - now > _PATIENCE_SECONDS:
            raise ServerBusy(None, "too many users sign in at once")
        self._free_at = mine + self._interval
        if mine > now:
            await sleep(mine - now)
