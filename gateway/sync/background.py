"""Design §6: what is done for an account while nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from gateway.imap.errors import ImapError
from gateway.obs.log import get_logger
from gateway.sync.errors import NotCommitted

log = get_logger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]


class Background:
    """Tasks by name, one of each at a time."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._started: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Whether a task of that name was ever started."""
        return name in self._started

    def runs(self, *names: str) -> bool:
        """Whether a task of any of these names is under way."""
        return any(name in self._tasks and not self._tasks[name].done() for name in names)

    def start(self, name: str, work: Work) -> asyncio.Task[None]:
        """The task of that name, started unless it is running."""
        task = self._tasks.get(name)
        if task is None or task.done():
            # It outlives the request that started it, and has no part in what belongs to that.
            task = asyncio.create_task(work(), name=name, context=Context())
            self._tasks[name] = task
            self._started.add(name)
            task.add_done_callback(_observe)
        return task

    async def stop(self) -> None:
        """Cancel all."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()  # they know of what they worked for


def _observe(task: asyncio.Task[None]) -> None:
    """Whoever waits for a task gets its error; if nobody does, it is only worth a line."""
    if not task.cancelled() and (error := task.exception()) is not None:
        expected = isinstance(error, ImapError | NotCommitted)
        log.warning(
            "background_failed",
            task=task.get_name(),
            reason=type(error).__name__,
            exc_info=None if expected else error,
        )
