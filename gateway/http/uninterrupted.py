"""RFC 8620 §5.3: what began to change something is brought to its end, whoever still listens."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from aiohttp import web

from gateway.obs.log import get_logger

T = TypeVar("T")

# Work whose client has gone has this long when the server stops: as long as the server gives to
# those who are still there (see server.py). What is cut off then is taken for what a killed
# gateway leaves: each object is wholly changed or not at all.
_GRACE_SECONDS = 20.0

log = get_logger(__name__)


class Uninterrupted:
    """Runs work in tasks of its own, which a cancelled handler leaves alone."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T], held: AsyncExitStack) -> T:
        """The result of `work`, at whose end everything `held` is given back.

        If the caller is cancelled, the work goes on without it.
        """
        task = asyncio.create_task(_holding(work, held))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # raised where it is waited for, and nowhere else

    async def close(self, _app: web.Application) -> None:
        """Wait for the work under way; what does not end in time is cancelled."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(set(self._tasks), timeout=_GRACE_SECONDS)
        if late:
            log.warning("changes cut off", requests=len(late))
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=_GRACE_SECONDS)


async def _holding(work: Coroutine[Any, Any, T], held: AsyncExitStack) -> T:
    async with held:
        return await work
