"""Design §7, §12: the store that several processes and nodes share: a Redis server.

An account is one hash, `jmap-gateway:{OWNER}:cache`. So it is evicted whole or not at all, and
the braces keep whatever else is filed about it later on the same node of a cluster. It expires
when nobody has used it for a long time, which also makes it what the `volatile-*` policies evict.

What only reads is asked again when a connection is lost. What writes is sent once: the server may
still take a command from a connection that was given up, after all that came later; and a `swap`
that was applied, lost its answer and was overtaken would, sent again, be told that it failed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.typing import EncodableT, FieldT

from gateway.store.base import DEADLINE_SECONDS, StoreError, StoreUnavailable

T = TypeVar("T")

_DAY_SECONDS = 24 * 3600

CONNECTIONS = 8
"""At most, for one process; further operations wait for one within their deadline."""

EXPIRY_SECONDS = 60 * _DAY_SECONDS
"""Twice as long as change logs are kept: nothing a client could still build on is lost by it."""

_SOCKET_SECONDS = DEADLINE_SECONDS / 2
_PAUSES_SECONDS = (0.05, 0.25)

_SWAP = """
-- KEYS: the account. ARGV: seconds until it expires; a key; how many entries are values, their keys
-- and values in turn; how many are deletions, their keys; what the key shall hold, if anything.
local account = KEYS[1]
local last_value = 3 + 2 * ARGV[3]
local last_deletion = last_value + 1 + ARGV[last_value + 1]
local held = ARGV[last_deletion + 1] or false

local function holds(key, value)
    return redis.call('HGET', account, key) == value
end

if not holds(ARGV[2], held) then
    for i = 4, last_value, 2 do
        if not holds(ARGV[i], ARGV[i + 1]) then return 0 end
    end
    for i = last_value + 2, last_deletion do
        if not holds(ARGV[i], false) then return 0 end
    end
    return 1
end

-- Values first: a full Redis refuses the first write of a script, but none after it.
for i = 4, last_value, 2 do
    redis.call('HSET', account, ARGV[i], ARGV[i + 1])
end
for i = last_value + 2, last_deletion do
    redis.call('HDEL', account, ARGV[i])
end
redis.call('EXPIRE', account, ARGV[1])
return 1
"""


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
                # With version 3 the client does not look whether the server has closed a connection
                # that was idle, and a command is lost on it.
                protocol=2,
                retry=Retry(NoBackoff(), retries=0),
            )
        except ValueError as error:
            raise StoreError("redis", str(error)) from error
        self._client = Redis.from_pool(pool)
        self._today = 0.0
        self._read_today: set[str] = set()
        self._swap = self._client.register_script(_SWAP)

    async def read(self, owner: str, keys: Sequence[str]) -> dict[str, bytes]:
        """One HMGET; what is read is in use, so its expiry is put off, once a day."""

        async def command() -> list[Any]:
            if self._first_today(owner):
                await self._client.expire(_name(owner), EXPIRY_SECONDS)
            return await self._client.hmget(_name(owner), list(keys))

        values = await _reading(command)
        return {key: value for key, value in zip(keys, values, strict=True) if value is not None}

    async def write(self, owner: str, entries: Mapping[str, bytes | None]) -> None:
        """One HSET or HDEL, or a MULTI of both; a full Redis still deletes, but nothing more."""
        values, gone = _parted(entries)
        both = bool(values and gone)
        async with _failing_in_time(), self._client.pipeline(transaction=both) as pipeline:
            if values:
                pipeline.hset(_name(owner), mapping=values)
            if gone:
                pipeline.hdel(_name(owner), *gone)
            pipeline.expire(_name(owner), EXPIRY_SECONDS)
            await pipeline.execute()

    async def swap(
        self, owner: str, key: str, held: bytes | None, entries: Mapping[str, bytes | None]
    ) -> bool:
        """One script, which Redis runs with nothing else in between."""
        values, gone = _parted(entries)
        arguments: list[EncodableT] = [EXPIRY_SECONDS, key, len(values)]
        for name, value in values.items():
            arguments += (name, value)
        arguments += (len(gone), *gone)
        if held is not None:
            arguments.append(held)
        async with _failing_in_time():
            return bool(await self._swap(keys=[_name(owner)], args=arguments))

    async def drop(self, owner: str) -> None:
        """Take the hash out; Redis frees it in the background."""
        async with _failing_in_time():
            await self._client.unlink(_name(owner))

    async def size(self, owner: str) -> int:
        """The lengths of all values, which stay on the server."""

        async def command() -> int:
            async with self._client.pipeline(transaction=False) as pipeline:
                for key in await self._client.hkeys(_name(owner)):
                    pipeline.hstrlen(_name(owner), key)
                return sum(await pipeline.execute())

        return await _reading(command)

    def _first_today(self, owner: str) -> bool:
        today = time.monotonic() // _DAY_SECONDS
        if today != self._today:
            self._today = today
            self._read_today.clear()
        first = owner not in self._read_today
        self._read_today.add(owner)
        return first

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose(close_connection_pool=True)

    async def ping(self) -> None:
        """One round trip."""
        await _reading(self._client.ping)


def _name(owner: str) -> str:
    return f"jmap-gateway:{{{owner}}}:cache"


def _parted(
    entries: Mapping[str, bytes | None],
) -> tuple[dict[FieldT, EncodableT], list[str]]:
    """What to write, and what to delete."""
    values: dict[FieldT, EncodableT] = {k: v for k, v in entries.items() if v is not None}
    return values, [k for k, v in entries.items() if v is None]


async def _reading(command: Callable[[], Awaitable[T]]) -> T:
    """Do what may be done twice, until it is done: a connection may be lost on the way."""
    async with _failing_in_time():
        for pause in _PAUSES_SECONDS:
            try:
                return await command()
            except (exceptions.ConnectionError, exceptions.TimeoutError):
                await asyncio.sleep(pause)
        return await command()


@asynccontextmanager
async def _failing_in_time() -> AsyncIterator[None]:
    """Turn what may happen, and the deadline, into StoreErrors."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield
    except TimeoutError:
        raise StoreUnavailable("redis", f"no answer in {DEADLINE_SECONDS:g} s") from None
    except (exceptions.AuthenticationError, exceptions.NoPermissionError) as error:
        raise StoreError("redis", str(error)) from error
    except (exceptions.RedisError, OSError) as error:
        raise StoreUnavailable("redis", str(error)) from error
