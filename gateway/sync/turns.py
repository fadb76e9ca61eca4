"""RFC 8620 §8.5: the work of one request never keeps the others waiting for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

TURN_SECONDS: Final = 0.01
"""How long work goes on before others have their turn."""

_OCTETS_PER_TURN = 1 << 18


class Turns:
    """Lets others have their turn whenever this work has had its own."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + TURN_SECONDS

    async def give(self) -> None:
        """To be called between two steps of the work."""
        if self._loop.time() >= self._end:
            await asyncio.sleep(0)
            self._end = self._loop.time() + TURN_SECONDS


async def off_loop(
    octets: int, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call a function that works through so many octets: in a thread, if they are many."""
    if octets <= _OCTETS_PER_TURN:
        return function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)
