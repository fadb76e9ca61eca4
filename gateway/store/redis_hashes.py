"""Design §7, §12: hashes of a Redis server, each of which lives and goes as a whole.

What only reads is asked again when a connection is lost. What writes is sent once: the server may
still take a command from a connection that was given up, after all that came later; and a `swap`
that was applied, lost its answer and was overtaken would, sent again, be told that it failed.
"""

from __future__ import annotations

import asyncio
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

CONNECTIONS = 8
"""At most, for one process; further operations wait for one within their deadline."""

_SOCKET_SECONDS = DEADLINE_SECONDS / 2
_PAUSES_SECONDS = (0.05, 0.25)

_SWAP = """
-- KEYS: the hash. ARGV: seconds until it expires; a key; how many entries are values, their keys
-- and values in turn; how many are deletions, their keys; what the key shall hold, if anything.
local hash = KEYS[1]
local last_value = 3 + 2 * ARGV[3]
local last_deletion = last_value + 1 + ARGV[last_value + 1]
local held = ARGV[last_deletion + 1] or false

local function holds(key, value)
    return redis.call('HGET', hash, key) == value
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
    redis.call('HSET', hash, ARGV[i], ARGV[i + 1])
end
for i = last_value + 2, last_deletion do
    redis.call('HDEL', hash, ARGV[i])
end
redis.call('EXPIRE', hash, ARGV[1])
return 1
"""


class Hashes:
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
        self.client = Redis.from_pool(pool)
        self._swap = self.client.register_script(_SWAP)

    async def read(
        self, name: str, keys: Sequence[str], put_off: int | None = None
    ) -> dict[str, bytes]:
        """One HMGET; with `put_off`, which is tried once, the hash expires so much later."""

        async def command() -> list[Any]:
            nonlocal put_off
            if put_off is not None:
                seconds, put_off = put_off, None
                await self.client.expire(name, seconds)
            return await self.client.hmget(name, list(keys))

        values = await reading(command)
        return {key: value for key, value in zip(keys, values, strict=True) if value is not None}

    async def write(self, name: str, entries: Mapping[str, bytes | None], seconds: int) -> None:
        """A MULTI, but where values only go: a full Redis still deletes, in no MULTI though."""
        values, gone = _parted(entries)
        async with writing(), self.client.pipeline(transaction=bool(values)) as pipeline:
            if values:
                pipeline.hset(name, mapping=values)
            if gone:
                pipeline.hdel(name, *gone)
            pipeline.expire(name, seconds)
            await pipeline.execute()

    async def swap(
        self,
        name: str,
        key: str,
        held: bytes | None,
        entries: Mapping[str, bytes | None],
        seconds: int,
    ) -> bool:
        """One script, which Redis runs with nothing else in between."""
        values, gone = _parted(entries)
        arguments: list[EncodableT] = [seconds, key, len(values)]
        for field, value in values.items():
            arguments += (field, value)
        arguments += (len(gone), *gone)
        if held is not None:
            arguments.append(held)
        async with writing():
            return bool(await self._swap(keys=[name], args=arguments))

    async def drop(self, *names: str) -> None:
        """Take hashes out; Redis frees them in the background."""
        async with writing():
            await self.client.unlink(*names)

    async def size(self, name: str) -> int:
        """The lengths of all values, which stay on the server."""

        async def command() -> int:
            async with self.client.pipeline(transaction=False) as pipeline:
                for key in await self.client.hkeys(name):
                    pipeline.hstrlen(name, key)
                return sum(await pipeline.execute())

        return await reading(command)


def _parted(
    entries: Mapping[str, bytes | None],
) -> tuple[dict[FieldT, EncodableT], list[str]]:
    """What to write, and what to delete."""
    values: dict[FieldT, EncodableT] = {k: v for k, v in entries.items() if v is not None}
    return values, [k for k, v in entries.items() if v is None]


async def reading(command: Callable[[], Awaitable[T]]) -> T:
    """Do what may be done twice, until it is done: a connection may be lost on the way.

    Raises StoreErrors, as `writing` does.
    """
    async with writing():
        for pause in _PAUSES_SECONDS:
            try:
                return await command()
            except (exceptions.ConnectionError, exceptions.TimeoutError):
                await asyncio.sleep(pause)
        return await command()


@asynccontextmanager
async def writing() -> AsyncIterator[None]:
    """Do what is sent once, or waited for, until the deadline. Raises StoreErrors alone."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield
    except TimeoutError:
        raise StoreUnavailable("redis", f"no answer in {DEADLINE_SECONDS:g} s") from None
    except (exceptions.AuthenticationError, exceptions.NoPermissionError) as error:
        raise StoreError("redis", str(error)) from error
    except (exceptions.RedisError, OSError) as error:
        raise StoreUnavailable("redis", str(error)) from error
