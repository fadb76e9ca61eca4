"""Design §6, §8: how the C library keeps memory that is used now and then, or no longer."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

_library = ctypes.CDLL(None)
_mallopt: Callable[[int, int], int] | None = getattr(_library, "mallopt", None)
_trim: Callable[[int], int] | None = getattr(_library, "malloc_trim", None)

# Of mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAPPED_OCTETS = 8 << 20
_FREE_OCTETS = 64 << 20


def keep_pages() -> None:
    """Have glibc use pages again that were freed, for what is smaller than a few MiB.

    By default each buffer of a download is given back to the system and asked for anew, which
    takes longer than to fill it. What stays free at the end is bounded.
    """
    if _mallopt is not None:
        _mallopt(_M_MMAP_THRESHOLD, _MMAPPED_OCTETS)
        _mallopt(_M_TRIM_THRESHOLD, _FREE_OCTETS)


async def give_back() -> None:
    """Have glibc return its free pages; worth it after tens of thousands of strings were freed.

    Takes milliseconds, in a thread. Other C libraries do it by themselves or not at all.
    """
    if _trim is not None:
        await asyncio.to_thread(_trim, 0)
