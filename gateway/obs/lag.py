"""How late the event loop is: whatever holds it up makes all clients wait."""

from __future__ import annotations

import asyncio
import time
from typing import Never

from gateway.obs.metrics import EVENT_LOOP_LAG

_INTERVAL_SECONDS = 0.02


async def watch_lag() -> Never:
    """Measure how much later than asked for a timer comes, for as long as the task runs.

    By the clock and not the loop's time, which is that of the beginning of a round.
    """
    while True:
        due = time.monotonic() + _INTERVAL_SECONDS
        await asyncio.sleep(_INTERVAL_SECONDS)
        EVENT_LOOP_LAG.observe(max(0.0, time.monotonic() - due))
