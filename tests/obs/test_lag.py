"""What holds the event loop up is measured."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from gateway.obs.lag import watch_lag
from gateway.obs.metrics import EVENT_LOOP_LAG

SECONDS = 10


def lag() -> float:
    (metric,) = EVENT_LOOP_LAG.collect()
    return next(each.value for each in metric.samples if each.name.endswith("_sum"))


async def test_what_holds_the_event_loop_up_is_measured() -> None:
    task = asyncio.create_task(watch_lag())
    await asyncio.sleep(0)  # it has begun to wait
    before = lag()
    time.sleep(0.3)
    async with asyncio.timeout(SECONDS):
        while lag() - before < 0.2:
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
