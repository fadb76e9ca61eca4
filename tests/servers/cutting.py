"""RFC 9051: a real server, and a link to it that fails at a command of the tester's choice."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self

_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n\Z")
_LIMIT = 1 << 26


class Cut(Enum):
    """How the link fails at a command."""

    BEFORE = "before the server has it"
    UPLOAD = "in the middle of its last literal; before it without one"
    AFTER = "when the server has carried it out, before any of the answer"
    INSIDE = "in the middle of the answer"
    BYE = "with a BYE, when the server has carried it out"
    STALL = "the answer never comes, and the link stays"
    REFUSED = "it is answered NO, and the server never has it"
    MEANWHILE = "something else happens before the server has it; nothing fails"


class CuttingProxy:
    """Listens on `port`; passes everything on until the command that `cut` has named.

    commands: the lines of the commands since then, without their tags, that match `counted`.
    refusal: the answer to what is REFUSED; action: what happens MEANWHILE.
    """

    def __init__(self, target: int, *without: bytes) -> None:
        self._target = target
        self._without = without
        self._tasks: set[asyncio.Task[None]] = set()
        self._at: int | None = None
        self._how = Cut.BEFORE
        self.commands: list[bytes] = []
        self.counted = re.compile(b"")
        self.refusal = b"NO [UNAVAILABLE] Not now"
        self.action: Callable[[], None] = lambda: None
        self.port = 0

    def cut(self, at: int | None, how: Cut = Cut.BEFORE) -> None:
        """Fail at command number `at` from now on, counted from 0; None: only count."""
        self.commands.clear()
        self._at, self._how = at, how

    @property
    def is_done(self) -> bool:
        """Whether the command was reached."""
        return self._at is not None and len(self.commands) > self._at

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LIMIT)
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
        opened = await asyncio.open_connection("127.0.0.1", self._target, limit=_LIMIT)
        link = _Link(self, (reader, writer), opened, self._without)
        try:
            await link.run()
        finally:
            writer.transport.abort()
            opened[1].transport.abort()
            self._tasks.discard(task)

    def next_cut(self, line: bytes) -> Cut | None:
        """Note a command; how the link fails at it, None when it does not."""
        if not self.counted.match(line):
            return None
        self.commands.append(line)
        return self._how if len(self.commands) - 1 == self._at else None


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection of the client, and the one to the server that goes with it."""

    def __init__(
        self, proxy: CuttingProxy, client: _Streams, server: _Streams, without: tuple[bytes, ...]
    ) -> None:
        self._proxy = proxy
        self._from_client, self._to_client = client
        self._from_server, self._to_server = server
        self._without = without
        self._withheld: bytearray | None = None  # what the server says, while it is withheld
        self._awaited = b""  # the tagged line after which the answer is complete
        self._answered = asyncio.Event()

    async def run(self) -> None:
        """Pass on until one end is gone, or the link is cut."""
        back = asyncio.create_task(self._pass_back())
        forth = asyncio.create_task(self._pass_forth())
        try:
            await asyncio.wait((back, forth), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (back, forth):
                each.cancel()
            await asyncio.gather(back, forth, return_exceptions=True)

    async def _pass_back(self) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await self._from_server.readline():
                for name in self._without:
                    line = line.replace(b" " + name, b"")
                if self._withheld is None:
                    self._to_client.write(line)
                    await self._to_client.drain()
                    continue
                self._withheld += line
                if line.startswith(self._awaited):
                    self._answered.set()

    async def _pass_forth(self) -> None:
        """Whole commands, with their literals; synchronising ones are asked for here."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                pieces = await self._command()
                if pieces is None:
                    return
                line = b"".join(piece for piece in pieces[::2])
                tag, _, rest = line.rstrip(b"\r\n").partition(b" ")
                how = self._proxy.next_cut(rest) if rest else None
                if how is Cut.MEANWHILE:
                    await asyncio.to_thread(self._proxy.action)
                if how in (None, Cut.MEANWHILE):
                    self._to_server.write(b"".join(pieces))
                    await self._to_server.drain()
                elif how is Cut.REFUSED:
                    self._to_client.write(b"%s %s\r\n" % (tag, self._proxy.refusal))
                elif how is not None:
                    await self._fail(how, tag, pieces)
                    return

    async def _command(self) -> list[bytes] | None:
        """Lines and literals by turns."""
        pieces = [await self._from_client.readline()]
        while match := _LITERAL.search(pieces[-1]):
            if not match[2]:
                self._to_client.write(b"+ go on\r\n")
                pieces[-1] = pieces[-1][: match.start()] + b"{%b+}\r\n" % match[1]
            pieces.append(await self._from_client.readexactly(int(match[1])))
            pieces.append(await self._from_client.readline())
        return pieces if pieces[0] else None

    async def _fail(self, how: Cut, tag: bytes, pieces: list[bytes]) -> None:
        if how is Cut.BEFORE:
            return
        if how is Cut.UPLOAD:
            if len(pieces) > 1:
                self._to_server.write(b"".join(pieces[:-2]) + pieces[-2][: len(pieces[-2]) // 2])
                await self._to_server.drain()
            return
        self._withheld, self._awaited = bytearray(), tag + b" "
        self._to_server.write(b"".join(pieces))
        await self._answered.wait()
        if how is Cut.INSIDE:
            self._to_client.write(bytes(self._withheld[: len(self._withheld) // 2]))
            await self._to_client.drain()
        elif how is Cut.BYE:
            self._to_client.write(b"* BYE Shutting down\r\n")
            await self._to_client.drain()
        elif how is Cut.STALL:
            await self._from_client.read()
        # Buffers are sent before the link is closed.
        self._to_client.close()
        with suppress(ConnectionError):
            await self._to_client.wait_closed()
