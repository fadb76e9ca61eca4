"""Design §7, §12: the store that several processes and nodes share: a Redis server.

An account is one hash, `jmap-gateway:{OWNER}:cache`. So it is evicted whole or not at all, and
the braces keep whatever else is filed about it later on the same node of a cluster. It expires
when nobody has used it for a long time, which also makes it what the `volatile-*` policies evict.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.typing import EncodableT, FieldT

from gateway.store.base import DEADLINE_SECONDS, StoreError, StoreUnavailable

CONNECTIONS = 8
"""At most, for one process; further operations wait for one within their deadline."""

EXPIRY_SECONDS = 60 * 24 * 3600
"""Twice as long as change logs are kept: nothing a client could still build on is lost by it."""

_SOCKET_SECONDS = DEADLINE_SECONDS / 2


class RedisBackend:
    """Connects when first used, and again when a connection was lost."""

    def __init__(self, url: str) -> None:
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=CONNECTIONS,
                timeout=DEADLINE_SECONDS,
                socket_timeout=_SOCKET_SECONDS,
                socket_connect_timeout=_SOCKET_SECONDS,
                socket_keepalive=True,
                # A connection the server closed while it was idle is replaced unseen. Every
                # command used here may be sent twice.
                retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), retries=2),
            )
        except ValueError as error:
            raise StoreError("redis", str(error)) from error
        self._client = Redis.from_pool(pool)

    async def read(self, owner: str, keys: Sequence[str]) -> dict[str, bytes]:
        """One HMGET; what is read is in use, so its expiry is put off.

        Not in a MULTI: in there, a Redis whose memory is full refuses reading, too.
        """
        async with _failing_in_time(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.hmget(_name(owner), list(keys))
            pipeline.expire(_name(owner), EXPIRY_SECONDS)
            values, _ = await pipeline.execute()
        return {key: value for key, value in zip(keys, values, strict=True) if value is not None}

    async def write(self, owner: str, entries: Mapping[str, bytes | None]) -> None:
        """One HSET or HDEL, or a MULTI of both; a full Redis still deletes, but nothing more."""
        values: dict[FieldT, EncodableT] = {k: v for k, v in entries.items() if v is not None}
        gone = [k for k, v in entries.items() if v is None]
        both = bool(values and gone)
        async with _failing_in_time(), self._client.pipeline(transaction=both) as pipeline:
            if values:
                pipeline.hset(_name(owner), mapping=values)
            if gone:
                pipeline.hdel(_name(owner), *gone)
            pipeline.expire(_name(owner), EXPIRY_SECONDS)
            await pipeline.execute()

    async def drop(self, owner: str) -> None:
        """Take the hash out; Redis frees it in the background."""
        async with _failing_in_time():
            await self._client.unlink(_name(owner))

    async def size(self, owner: str) -> int:
        """The lengths of all values, which stay on the server."""
        async with _failing_in_time(), self._client.pipeline(transaction=False) as pipeline:
            for key in await self._client.hkeys(_name(owner)):
                pipeline.hstrlen(_name(owner), key)
            return sum(await pipeline.execute())

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose(close_connection_pool=True)

    async def ping(self) -> None:
        """One round trip."""
        async with _failing_in_time():
            await self._client.ping()


def _name(owner: str) -> str:
    return f"jmap-gateway:{{{owner}}}:cache"


@asynccontextmanager
async def _failing_in_time() -> AsyncIterator[None]:
    """Turn what may happen, and the deadline, into StoreErrors."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield
    except TimeoutError:
        raise StoreUnavailable("redis", f"no answer in {DEADLINE_SECONDS:g} s") from None
    except (AuthenticationError, NoPermissionError) as error:
        raise StoreError("redis", str(error)) from error
    except (RedisError, OSError) as error:
        raise StoreUnavailable("redis", str(error)) from error
