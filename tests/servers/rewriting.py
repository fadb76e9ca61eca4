"""RFC 9051 §7: a proxy before a real server that changes lines of its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self


class RewritingProxy:
    """Listens on `port`, and passes each line of the server through `rewrite`, CRLF included.

    Literals are lines as well: `rewrite` must tell them from responses, and keep their length.
    """

    def __init__(self, target: int, rewrite: Callable[[bytes], bytes]) -> None:
        self._target = target
        self._rewrite = rewrite
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        limit = 1 << 24
        from_server, to_server = await asyncio.open_connection(
            "127.0.0.1", self._target, limit=limit
        )
        try:
            await asyncio.gather(
                _pass(reader, to_server, lambda octets: octets),
                _pass(from_server, writer, self._rewrite),
            )
        finally:
            self._tasks.discard(task)
            writer.close()
            to_server.close()


async def _pass(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, change: Callable[[bytes], bytes]
) -> None:
    with suppress(ConnectionError):
        while line := await source.readline():
            target.write(change(line))
            await target.drain()
    target.close()
