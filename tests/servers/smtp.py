"""RFC 5321: a submission server that does as it is told: takes messages, or fails on cue."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

EXTENSIONS = ("PIPELINING", "SIZE 30000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN")
AUTH = (*EXTENSIONS, "AUTH PLAIN LOGIN OAUTHBEARER XOAUTH2")


class _HungUp(Exception):
    """The server has closed the connection."""


@dataclass(frozen=True)
class Step:
    """What the server sends at a step instead of what it would, and what it does then.

    takes: of the end of a message, whether the server has taken it, whatever it says.
    """

    octets: bytes = b""
    then: Literal["go on", "close", "silence"] = "go on"
    takes: bool = False


def say(*lines: str, takes: bool = False) -> Step:
    """A reply, line by line, and go on."""
    return Step("".join(f"{line}\r\n" for line in lines).encode(), takes=takes)


def hang_up(octets: bytes = b"", *, takes: bool = False) -> Step:
    """Close the connection, perhaps after some octets."""
    return Step(octets, "close", takes)


def fall_silent(octets: bytes = b"", *, takes: bool = False) -> Step:
    """Say nothing any more, perhaps after some octets."""
    return Step(octets, "silence", takes)


@dataclass(frozen=True)
class Message:
    """A message that the server has taken; mail: the command that began it."""

    mail: str
    recipients: tuple[str, ...]
    octets: bytes


@dataclass
class Script:
    """What the server does otherwise than well, by the names of steps.

    They are "connect", the commands, "credentials" (the answer to these), "data" (when
    `data_limit` octets of a message have come) and "end" (that of a message). rcpt: for single
    recipients. most_recipients: so many are taken for one message.
    """

    extensions: Sequence[str] = EXTENSIONS
    steps: dict[str, Step] = field(default_factory=dict)
    rcpt: dict[str, Step] = field(default_factory=dict)
    most_recipients: int | None = None
    data_limit: int = 1 << 40
    tls: ssl.SSLContext | None = None


class SmtpServer:
    """A server on a free port of 127.0.0.1; the script can be replaced between connections.

    messages: what it has taken. commands: what it has heard, but for messages. before: awaited
    with the name of each step before it is done.
    """

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.messages: list[Message] = []
        self.commands: list[str] = []
        self.before: Callable[[str], Awaitable[None]] | None = None
        self.port = 0
        self._news = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    async def start(self, *, implicit_tls: bool = False) -> None:
        """Listen; again on the same port, after it was stopped."""
        context = self.script.tls if implicit_tls else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close all connections, and listen no longer."""
        if self._server is not None:
            self._server.close()
        for session in self._sessions:
            session.cancel()
        if self._sessions:
            await asyncio.wait(self._sessions)

    async def wait(self, count: int, seconds: float = 20.0) -> list[Message]:
        """The messages, once there are so many."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: len(self.messages) >= count)
        return self.messages

    async def take(self, message: Message) -> None:
        """It has been taken."""
        async with self._news:
            self.messages.append(message)
            self._news.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        try:
            with suppress(_HungUp, OSError, asyncio.CancelledError):
                await _Session(self, reader, writer).run()
        finally:
            self._sessions.discard(task)
            writer.close()


class _Session:
    def __init__(
        self, server: SmtpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._script = server.script
        self._reader = reader
        self._writer = writer
        self._mail = ""
        self._recipients: list[str] = []

    async def run(self) -> None:
        await self._at("connect", "220 mail.example.org ESMTP")
        while command := await self._line():
            self._server.commands.append(command)
            await self._do(command.split(" ")[0].upper(), command)

    async def _line(self) -> str:
        return (await self._reader.readline()).decode().rstrip("\r\n")

    async def _do(self, verb: str, command: str) -> None:
        match verb:
            case "EHLO":
                lines = ["mail.example.org", *self._extensions()]
                said = [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]
                await self._at("EHLO", *said)
            case "STARTTLS":
                if await self._at("STARTTLS", "220 2.0.0 go"):
                    assert self._script.tls is not None
                    await self._writer.start_tls(self._script.tls)
            case "AUTH":
                await self._auth(command.split(" ")[1])
            case "MAIL":
                self._mail, self._recipients = command, []
                await self._at("MAIL", "250 2.1.0 sender ok")
            case "RCPT":
                await self._rcpt(command.partition("<")[2].partition(">")[0])
            case "DATA":
                if await self._at("DATA", "354 go on"):
                    await self._message()
            case "QUIT":
                await self._at("QUIT", "221 2.0.0 bye")
                raise _HungUp
            case _:
                await self._at(verb, "250 2.0.0 ok")

    def _extensions(self) -> list[str]:
        is_secure = self._writer.get_extra_info("sslcontext") is not None
        return [each for each in self._script.extensions if each != "STARTTLS" or not is_secure]

    async def _auth(self, mechanism: str) -> None:
        if not await self._at("AUTH", "334 "):
            return
        said = [await self._line()]
        if mechanism == "LOGIN":
            await self._send(b"334 UGFzc3dvcmQ6\r\n")
            said.append(await self._line())
        self._server.commands[-1] += " " + " ".join(said)
        await self._at("credentials", "235 2.7.0 welcome")

    async def _rcpt(self, address: str) -> None:
        step = self._script.rcpt.get(address)
        most = self._script.most_recipients
        if step is None and most is not None and len(self._recipients) >= most:
            step = say("452 4.5.3 too many recipients")
        if step is not None:
            await self._play(step)
        elif await self._at("RCPT", "250 2.1.5 recipient ok"):
            self._recipients.append(address)

    async def _message(self) -> None:
        octets = bytearray()
        limit = self._script.data_limit
        while (line := await self._reader.readline()) != b".\r\n":
            if not line:
                raise _HungUp
            octets += line.removeprefix(b".")
            if len(octets) >= limit:
                limit = 1 << 40
                await self._at("data")
        await self._reached("end")
        message = Message(self._mail, tuple(self._recipients), bytes(octets))
        step = self._script.steps.get("end", say("250 2.0.0 queued", takes=True))
        if step.takes:
            await self._server.take(message)
        await self._play(step)

    # --- steps -----------------------------------------------------------------------------------

    async def _at(self, name: str, *lines: str) -> bool:
        """Whether the step was done as usual."""
        await self._reached(name)
        step = self._script.steps.get(name)
        await self._play(step or say(*lines))
        return step is None

    async def _reached(self, name: str) -> None:
        if self._server.before is not None:
            await self._server.before(name)

    async def _play(self, step: Step) -> None:
        await self._send(step.octets)
        if step.then == "close":
            raise _HungUp
        if step.then == "silence":
            while await self._reader.read(65536):
                pass
            raise _HungUp

    async def _send(self, octets: bytes) -> None:
        self._writer.write(octets)
        await self._writer.drain()


@asynccontextmanager
async def smtp_server(
    script: Script | None = None, *, implicit_tls: bool = False
) -> AsyncIterator[SmtpServer]:
    """A server for the block."""
    server = SmtpServer(script)
    await server.start(implicit_tls=implicit_tls)
    try:
        yield server
    finally:
        await server.stop()
