"""Design §6: memory that an account no longer needs goes back to the system."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

_trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)


async def give_back() -> None:
    """Have glibc return its free pages; worth it after tens of thousands of strings were freed.

    Takes milliseconds, in a thread. Other C libraries do it by themselves or not at all.
    """
    if _trim is not None:
        await asyncio.to_thread(_trim, 0)
