"""RFC 1034 §5.3: what the names of push services mean, looked up in threads of their own.

Any user may name a host whose name server never answers. A lookup of it can not be called off, and
takes a thread for longer than its push waits; those of the event loop are few, and for everybody.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

_THREADS: Final = 64


class Resolver(AbstractResolver):
    """The system's resolver; the addresses are looked at when they are connected to."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="push-resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """In the system's order. Raises OSError."""
        look_up = partial(
            socket.getaddrinfo,
            *(host, port),
            family=family,
            type=socket.SOCK_STREAM,
            flags=socket.AI_ADDRCONFIG,
        )
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nobody waits for the lookups that are under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)
