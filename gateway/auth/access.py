"""RFC 6750, RFC 8620 §8.2: what somebody who has signed in may do, and for how long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

A = TypeVar("A", covariant=True)


@dataclass(frozen=True, slots=True)
class Access:
    """is_read_only: nothing may be changed. expires: when it ends, in seconds since 1970."""

    is_read_only: bool = False
    expires: float = inf

    @property
    def seconds(self) -> float:
        """How long it lasts still."""
        return self.expires - time.time()

    @contextmanager
    def then(self, call: Callable[[], None]) -> Iterator[None]:
        """Have this called when the access ends inside the block."""
        if self.expires == inf:
            yield
            return
        seconds = max(self.seconds, 0.0)
        timer = asyncio.get_running_loop().call_later(seconds, call)
        try:
            yield
        finally:
            timer.cancel()


FULL = Access()
"""What a password gives."""


@dataclass(frozen=True, slots=True)
class Visitor(Generic[A]):
    """Somebody who has signed in: the user's own account, and what may be done with it."""

    account: A
    access: Access
