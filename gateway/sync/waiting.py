"""RFC 2177, RFC 5465: waiting for the first of several things that may never happen."""

from __future__ import annotations

import asyncio


async def first_of(*events: asyncio.Event, seconds: float) -> bool:
    """Wait until one of the events is set; False when none was within so many seconds."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
    return bool(done)
