"""A TCP proxy that is far away: what passes takes its time, and is counted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self


class FarAway:
    """Listens on `port` and passes everything on to `target`, in a thread of its own.

    seconds: what a round trip takes more; a connection takes one before anything passes.
    octets: how many have passed, both ways. trips: how often the client has waited for the server:
    connections, and answers that were waited for.
    """

    def __init__(self, target: int, seconds: float) -> None:
        self.port = 0
        self.octets = 0
        self.trips = 0
        self._target = target
        self._seconds = seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.trips += 1
        await asyncio.sleep(self._seconds)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        direction = _Direction()
        both = (
            self._one_way(reader, far_writer, direction, is_up=True),
            self._one_way(far_reader, writer, direction, is_up=False),
        )
        for work in both:
            self._start(work)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one_way(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        direction: _Direction,
        *,
        is_up: bool,
    ) -> None:
        pending: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._start(self._send(pending, writer))
        try:
            while octets := await reader.read(1 << 16):
                self.octets += len(octets)
                if is_up and not direction.is_up:
                    self.trips += 1
                direction.is_up = is_up
                pending.put_nowait((self._loop.time() + self._seconds / 2, octets))
        except OSError:
            pass
        pending.put_nowait((self._loop.time() + self._seconds / 2, b""))

    async def _send(
        self, pending: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            moment, octets = await pending.get()
            await asyncio.sleep(moment - self._loop.time())
            if not octets:
                writer.close()
                return
            writer.write(octets)


class _Direction:
    """Which way the last octets of a connection went; the greeting of a server comes first."""

    def __init__(self) -> None:
        self.is_up = False
