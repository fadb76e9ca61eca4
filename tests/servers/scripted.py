"""RFC 9051: a server that follows a script, to be slow, wrong or hostile on cue."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n\Z")


@dataclass(frozen=True, slots=True)
class Received:
    """One command: its tag, the rest of its line with literals cut out as {}, and the literals."""

    tag: bytes
    line: bytes
    literals: tuple[bytes, ...] = ()

    @property
    def verb(self) -> bytes:
        """The first word of the line, in upper case."""
        return self.line.split(b" ", 1)[0].upper()


class Peer:
    """A client's connection, as the script sees it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        received: list[Received],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._received = received

    async def send(self, *lines: bytes) -> None:
        """Send lines, with CRLF after each."""
        await self.send_raw(b"".join(line + b"\r\n" for line in lines))

    async def send_raw(self, octets: bytes) -> None:
        """Send octets as they are."""
        self._writer.write(octets)
        await self._writer.drain()

    async def command(self) -> Received:
        """Read one command; ask for its synchronising literals.

        Raises asyncio.IncompleteReadError when the client is gone.
        """
        line, literals = b"", []
        while True:
            line += await self._reader.readuntil(b"\r\n")
            match = _LITERAL.search(line)
            if match is None:
                break
            if not match[2]:
                await self.send(b"+ go on")
            literals.append(await self._reader.readexactly(int(match[1])))
            line = line[: match.start()] + b"{}"
        tag, _, rest = line.removesuffix(b"\r\n").partition(b" ")
        received = Received(tag, rest, tuple(literals))
        self._received.append(received)
        return received

    async def line(self) -> bytes:
        """Read one line that is no command: DONE, the answer to a challenge."""
        return (await self._reader.readuntil(b"\r\n")).removesuffix(b"\r\n")

    async def ok(self, command: Received, *untagged: bytes, code: bytes = b"") -> None:
        """Send untagged lines and the tagged OK."""
        await self.send(*untagged, b"%s OK %sdone" % (command.tag, code))

    async def greet(self, capabilities: bytes = b"IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+") -> None:
        """Send an ordinary greeting."""
        await self.send(b"* OK [CAPABILITY %s] ready" % capabilities)

    async def accept_login(self, capabilities: bytes = b"IMAP4rev1 LITERAL+") -> None:
        """Greet and take whatever comes until a login is through."""
        await self.greet()
        while (command := await self.command()).verb not in (b"LOGIN", b"AUTHENTICATE"):
            await self.ok(command)
        await self.ok(command, code=b"[CAPABILITY %s] " % capabilities)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Do the server's half of the handshake."""
        await self._writer.start_tls(context)

    async def gone(self) -> None:
        """Wait until the client has closed."""
        while await self._reader.read(65536):
            pass

    async def obey(self) -> None:
        """Answer OK to everything until the client has closed."""
        while True:
            await self.ok(await self.command())

    def close(self) -> None:
        """Close without a word."""
        self._writer.close()

    def abort(self) -> None:
        """Reset the connection."""
        self._writer.transport.abort()


Script: TypeAlias = Callable[[Peer], Awaitable[None]]


class Scripted:
    """Runs a script for each connection; use it as an async context manager.

    A connection is closed when its script ends. An exception of a script, other than that the
    client went away, is raised at the end of the context.
    """

    def __init__(self, script: Script, ssl_context: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self._script = script
        self._ssl_context = ssl_context
        self._errors: list[BaseException] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._ssl_context, limit=1 << 26
        )
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
        await self._server.wait_closed()
        if self._errors and error is None:
            raise self._errors[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self._script(Peer(reader, writer, self.received))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        except BaseException as error:
            self._errors.append(error)
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()


def parse_commands(octets: bytes) -> list[Received]:
    """Read what a client sent in one go, with non-synchronising literals only."""
    commands: list[Received] = []
    while octets:
        line, literals = b"", []
        while True:
            part, separator, octets = octets.partition(b"\r\n")
            assert separator, "a line without an end"
            line += part + separator
            match = _LITERAL.search(line)
            if match is None:
                break
            size = int(match[1])
            literals.append(octets[:size])
            octets = octets[size:]
            line = line[: match.start()] + b"{}"
        tag, _, rest = line.removesuffix(b"\r\n").partition(b" ")
        commands.append(Received(tag, rest, tuple(literals)))
    return commands
