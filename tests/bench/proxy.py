"""RFC 9051 §2.2.1: a TCP proxy in front of Dovecot that notes each command a client sends."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

_READ = 1 << 18
_LITERAL = re.compile(rb"\{(\d+)\+?\}$")


@dataclass(frozen=True, slots=True)
class Sent:
    """A command as it passed.

    Attributes:
        moment: when, in seconds of `time.monotonic`.
        connection: the number of the connection.
        command: without its tag, its literals left out.
        others: how many earlier commands, of all connections, had no answer yet.
    """

    moment: float
    connection: int
    command: bytes
    others: int

    @property
    def is_fetch(self) -> bool:
        """Whether the command reads messages."""
        return self.command.startswith((b"UID FETCH", b"FETCH"))


class RecordingProxy:
    """Listens on `port` and passes everything on to `target`, in a thread of its own.

    Attributes:
        commands: what was sent, in order, without IDLE, which waits for ever.
        running: connection and tag of the commands that have no answer yet.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.commands: list[Sent] = []
        self.running: set[tuple[int, bytes]] = set()
        self._connections = 0
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

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
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._connections += 1
        observer = _Observer(self, self._connections)
        there = None
        try:
            upstream, there = await asyncio.open_connection("127.0.0.1", self.target)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(reader, there, observer.sent))
                pumps.create_task(_pump(upstream, writer, observer.answered))
        except* (OSError, _Ended):
            pass
        finally:
            writer.close()
            if there is not None:
                there.close()
            observer.ended()
            self._tasks.discard(task)


class _Ended(Exception):
    """One side closed; the other is closed too."""


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, observe: Any) -> None:
    while chunk := await reader.read(_READ):
        observe(chunk)
        writer.write(chunk)
        await writer.drain()
    raise _Ended


class _Observer:
    """Reads along on one connection."""

    def __init__(self, proxy: RecordingProxy, number: int) -> None:
        self._proxy = proxy
        self._number = number
        self._buffer = b""
        self._skip = 0
        self._command = b""
        self._running: set[bytes] = set()
        self._rest = b""

    def sent(self, chunk: bytes) -> None:
        """The client sent octets."""
        self._buffer += chunk
        while True:
            skipped = min(self._skip, len(self._buffer))
            self._buffer = self._buffer[skipped:]
            self._skip -= skipped
            line, end, rest = self._buffer.partition(b"\r\n")
            if self._skip or not end:
                return
            self._buffer = rest
            self._command += line
            if literal := _LITERAL.search(line):
                self._skip = int(literal[1])
            else:
                self._note(self._command)
                self._command = b""

    def _note(self, line: bytes) -> None:
        tag, _, command = line.partition(b" ")
        if not command or command == b"IDLE":
            return
        running = self._proxy.running
        sent = Sent(time.monotonic(), self._number, command, len(running))
        self._proxy.commands.append(sent)
        self._running.add(tag)
        running.add((self._number, tag))

    def answered(self, chunk: bytes) -> None:
        """The server sent octets."""
        if not self._running:
            self._rest = chunk[-2:]
            return
        data = self._rest + chunk
        for tag in list(self._running):
            if b"\r\n%s " % tag in data:
                self._done(tag)
        longest = max(map(len, self._running), default=0)
        self._rest = data[-(longest + 2) :]

    def ended(self) -> None:
        """The connection is closed: nothing will be answered any more."""
        for tag in list(self._running):
            self._done(tag)

    def _done(self, tag: bytes) -> None:
        self._running.discard(tag)
        self._proxy.running.discard((self._number, tag))
