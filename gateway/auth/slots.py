"""RFC 8620 §8.5: so many at once for each key, the next ones in a queue, the rest refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class NoSlot(Exception):
    """The queue is full, or the wait in it took too long."""


class _Queue:
    __slots__ = ("members", "semaphore")

    def __init__(self, running: int) -> None:
        self.members = 0
        self.semaphore = asyncio.Semaphore(running)


class Slots:
    """For each key at most `running` hold a slot, `waiting` queue for `seconds` at most.

    First come, first served. A key nobody uses takes no memory.
    """

    def __init__(self, *, running: int, waiting: int, seconds: float) -> None:
        self._running = running
        self._members = running + waiting
        self._seconds = seconds
        self._queues: dict[Hashable, _Queue] = {}

    @asynccontextmanager
    async def slot(self, key: Hashable) -> AsyncIterator[None]:
        """Hold a slot of the key for the block. Raises NoSlot."""
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue(self._running)
        if queue.members >= self._members:
            raise NoSlot
        queue.members += 1
        try:
            try:
                async with asyncio.timeout(self._seconds):
                    await queue.semaphore.acquire()
            except TimeoutError:
                raise NoSlot from None
            try:
                yield
            finally:
                queue.semaphore.release()
        finally:
            queue.members -= 1
            if not queue.members:
                del self._queues[key]
