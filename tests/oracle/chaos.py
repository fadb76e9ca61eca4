"""A TCP proxy that cuts, stalls and refuses when it is told to; what it passes on, it leaves alone.

It runs in a thread of its own, so that whoever tells it to do something may wait for answers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from types import TracebackType
from typing import Literal, Self, TypeAlias

Unit: TypeAlias = Literal["line", "segment"]

_CHUNK = 1 << 14
_SECONDS = 10.0
# Of what was passed on, so many chunks and lines are kept, and of each line so much is shown.
_KEPT = 1500
_SHOWN = 300


@dataclass(slots=True)
class Shot:
    """What is done at the n-th line or segment that is sent to the server from now on.

    is_late: it is passed on before that; else neither it nor what follows is. A connection of which
    not all is passed on is lost: it may be that of another gateway than the one that is killed.
    """

    left: int
    unit: Unit
    is_late: bool
    fire: Callable[[], object]
    fired: bool = False

    def take(self, chunk: bytes) -> bytes:
        """What of a chunk is to be passed on."""
        sent = chunk.splitlines(keepends=True) if self.unit == "line" else [chunk]
        if len(sent) < self.left:
            self.left -= len(sent)
            return chunk
        kept = sent[: self.left - (not self.is_late)]
        self.fired = True
        return b"".join(kept)


class Chaos:
    """Listens on `port` for a server on another one."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="chaos", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._left: int | None = None
        self._open = asyncio.Event()
        self._refusing = False
        self._connections = 0
        self._shot: Shot | None = None
        self._harmed = float("-inf")
        self._passed: deque[bytes] = deque(maxlen=_KEPT)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def passed(self) -> str:
        """What was passed on last, of each connection by a number of its own; long lines cut."""
        lines = [
            f"{chunk[:4].decode()} {line[:_SHOWN].decode(errors='replace')}"
            for chunk in [*self._passed]
            for line in chunk[4:].splitlines()
        ]
        return "\n".join(lines[-_KEPT:])

    # --- What goes wrong -----------------------------------------------------------------------

    def cut(self) -> None:
        """Every connection is lost."""
        self._run(self._cut)

    def cut_after(self, octets: int) -> None:
        """The connection on which the server has sent so many more octets is lost."""
        self._run(lambda: setattr(self, "_left", octets))

    def stall(self, seconds: float) -> None:
        """Nothing the server sends arrives for a while."""

        def stall() -> None:
            self._open.clear()
            self._end_after(seconds)

        self._run(stall)

    def refuse(self, seconds: float) -> None:
        """The server can not be reached for a while."""

        def refuse() -> None:
            self._refusing = True
            self._cut()
            self._end_after(seconds)

        self._run(refuse)

    def load(self, shot: Shot) -> None:
        """Something happens while the server is talked to."""
        self._run(lambda: setattr(self, "_shot", shot))

    def unload(self) -> None:
        """It does not happen any more."""
        self._run(lambda: setattr(self, "_shot", None))

    def resume(self) -> None:
        """All is well again."""
        self._run(self._resume)

    @property
    def harmed(self) -> float:
        """When (time.monotonic) something went wrong last, or will at any moment."""
        is_going_on = self._refusing or self._left is not None or not self._open.is_set()
        return time.monotonic() if is_going_on else self._harmed

    # --- In the thread -------------------------------------------------------------------------

    def _run(self, function: Callable[[], None]) -> None:
        done: Future[None] = Future()

        def run() -> None:
            function()
            done.set_result(None)

        self._loop.call_soon_threadsafe(run)
        done.result(_SECONDS)

    async def _listen(self) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end_after(self, seconds: float) -> None:
        self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._harmed = self.harmed
        self._refusing, self._left = False, None
        self._open.set()

    def _cut(self) -> None:
        self._harmed = time.monotonic()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if not self._refusing:
                self._connections += 1
                await self._pass_on(reader, writer, b"%03d" % (self._connections % 1000))
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: bytes
    ) -> None:
        with suppress(OSError):
            answers, server = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                asking = asyncio.create_task(self._ask(reader, server, name))
                while chunk := await answers.read(_CHUNK):
                    await self._open.wait()
                    allowed = self._allowed(chunk)
                    self._passed.append(name + b"<" + allowed)
                    writer.write(allowed)
                    await writer.drain()
                    if len(allowed) < len(chunk):
                        break
                asking.cancel()
            finally:
                server.transport.abort()

    def _allowed(self, chunk: bytes) -> bytes:
        """What of a chunk still gets through; when it is less, that ends the connection."""
        if self._left is None:
            return chunk
        allowed = chunk[: self._left]
        self._left -= len(allowed)
        if len(allowed) < len(chunk):
            self._left, self._harmed = None, time.monotonic()
        return allowed

    async def _ask(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, name: bytes
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                shot = self._shot
                taken = shot.take(chunk) if shot is not None else chunk
                self._passed.append(name + b">" + taken)
                server.write(taken)
                if shot is not None and shot.fired:
                    self._shot = None
                    shot.fire()
                await server.drain()
                if len(taken) < len(chunk):
                    self._harmed = time.monotonic()
                    break
        server.transport.abort()
