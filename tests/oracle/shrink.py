"""Delta debugging: which few operations of a run that fails are needed for it to fail."""

from __future__ import annotations

import time
from collections.abc import Callable


def shrunk(fails: Callable[[set[int]], bool], numbers: set[int], seconds: float) -> list[int]:
    """What is left of `numbers` when no more can be left out, or the time is over.

    fails: whether the run still fails without some of them.
    """
    deadline = time.monotonic() + seconds
    kept, size = sorted(numbers), max(1, len(numbers) // 2)
    while True:
        start, smaller = 0, False
        while start < len(kept):
            if time.monotonic() > deadline:
                return kept
            left = kept[:start] + kept[start + size :]
            if fails(numbers - {*left}):
                kept, smaller = left, True
            else:
                start += size
        if size == 1 and not smaller:
            return kept
        size = max(1, size // 2)
