"""Design §12: what is counted in moving windows, by one node or by all that share a Redis server.

Each node counts for itself in any case: while Redis is away, every node allows as much as all of
them together do otherwise, and no more. Names are counted under their HMAC, as all else in the
store.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from gateway.obs.log import get_logger
from gateway.store import keys

_PREFIX: Final = "jmap-gateway:counts"
# Nobody's login waits for longer, and for a while after that none waits at all.
_DEADLINE: Final = 1.0
_PAUSE: Final = 10.0

T = TypeVar("T")

log = get_logger(__name__)


class Left(NamedTuple):
    """How much more is allowed now, and in how many seconds that may be more."""

    remaining: int
    seconds: float


class Windows:
    """Counts. `secret` is that of the store, by which names are hidden."""

    def __init__(self, url: str | None, secret: bytes) -> None:
        self._secret = secret
        own = MemoryStorage()
        self._own = MovingWindowRateLimiter(own)
        self._here = FixedWindowRateLimiter(own)
        self._redis: RedisStorage | None = None
        self._shared: MovingWindowRateLimiter | None = None
        self._not_before = float("-inf")
        self._failures: tuple[type[Exception], ...] = (OSError, TimeoutError)
        if url is not None and urlsplit(url).scheme in ("redis", "rediss"):
            # Its library takes as long to import as all the rest of the store does.
            from redis.exceptions import RedisError

            self._failures += (RedisError,)
            self._redis = RedisStorage(
                f"async+{url}",
                implementation="redispy",
                key_prefix=_PREFIX,
                socket_timeout=_DEADLINE,
                socket_connect_timeout=_DEADLINE,
            )
            self._shared = MovingWindowRateLimiter(self._redis)

    async def add(self, limit: RateLimitItem, *names: str, count: int = 1) -> bool:
        """Count so many, if they are allowed; whether they are."""
        name = self._name(names)
        shared = self._shared
        if shared is not None:
            allowed = await self._ask(lambda: shared.hit(limit, name, cost=count))
            if allowed is False:
                return False
        return await self._own.hit(limit, name, cost=count)

    async def add_here(self, limit: RateLimitItem, *names: str) -> bool:
        """Count one on this node, in windows that do not move: for what there is much of."""
        return await self._here.hit(limit, "here", *names)

    async def left(self, limit: RateLimitItem, *names: str) -> Left:
        """What is left of a limit."""
        name = self._name(names)
        stats = await self._own.get_window_stats(limit, name)
        shared = self._shared
        if shared is not None:
            told = await self._ask(lambda: shared.get_window_stats(limit, name))
            if told is not None and told.remaining < stats.remaining:
                stats = told
        return Left(stats.remaining, max(stats.reset_time - time.time(), 0.0))

    async def close(self) -> None:
        """Close the connections."""
        if self._redis is not None:
            bridge: Any = self._redis.bridge  # which says nothing of its connections
            await bridge.get_connection().aclose()

    def _name(self, names: tuple[str, ...]) -> str:
        return keys.owner(self._secret, "\0counted\0" + "\0".join(names))

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """What Redis says; None while it says nothing."""
        if time.monotonic() < self._not_before:
            return None
        try:
            return await question()
        except self._failures as error:
            self._not_before = time.monotonic() + _PAUSE
            log.warning("counts_not_shared", reason=type(error).__name__)
            return None
