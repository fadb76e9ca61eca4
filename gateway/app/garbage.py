"""Design §2: when the collector of cyclic garbage passes over all objects there are.

A pass stops the event loop for as long as that takes, which is longer the more users there are.
Python's own rule counts what has become old since the last pass, also what is gone already, as all
is of an account that came into memory and went again. What counts here is whether there is more
than before.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Final

from gateway.obs.log import get_logger

# Young objects are looked at often, as ever, but for a few more of them at a time.
_YOUNG: Final = (5_000, 10)
_NEVER: Final = 1_000_000_000
_LOOK_SECONDS: Final = 5.0
# Blocks of memory, of some 70 octets each.
_GROWTH: Final = 1.4
_LEAST_GROWTH: Final = 400_000

log = get_logger(__name__)


async def collect_what_grows() -> None:
    """Pass over all objects now, and again whenever there are much more of them; until cancelled.

    What there is now lives as long as the process, and is not passed over again.
    """
    gc.collect()
    gc.freeze()
    thresholds = gc.get_threshold()
    gc.set_threshold(*_YOUNG, _NEVER)
    try:
        blocks = sys.getallocatedblocks()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if is_due(sys.getallocatedblocks(), blocks):
                found = gc.collect()
                blocks = sys.getallocatedblocks()
                log.debug("garbage_collected", objects=found, blocks=blocks)
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def is_due(now: int, before: int) -> bool:
    """Whether there is so much more than after the last pass that another is worth its pause."""
    return now > max(before * _GROWTH, before + _LEAST_GROWTH)
