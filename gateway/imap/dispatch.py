"""RFC 9051 §2.2.1, §5.5: which response belongs to which command.

Answers to pipelined commands overtake each other, so tagged responses are matched by tag; untagged
ones are offered to the running commands in the order they were sent. Whatever nobody takes goes to
`on_unsolicited`: nothing is dropped. After BYE nothing is read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from gateway.imap import refusals
from gateway.imap.command import Command
from gateway.imap.commands.examine import Selected
from gateway.imap.commands.starttls import StartTls
from gateway.imap.errors import (
    AuthenticationFailed,
    CommandRefused,
    CommandTimeout,
    ConnectionLost,
    ImapError,
    ProtocolError,
)
from gateway.imap.quirks import LINE_LEAST, Learnt
from gateway.imap.wire import encode, responses
from gateway.imap.wire.capability import Capabilities
from gateway.imap.wire.framer import Framer
from gateway.imap.wire.responses import Continuation, Tagged, Untagged
from gateway.imap.wire.uidfetch import as_fetch
from gateway.obs.metrics import IMAP_COMMANDS

_TAKES = 8  # times a chunk is tried as bulk rows, which bounds the work on hostile mail


@dataclass(slots=True, eq=False)
class Running:
    """A command that was sent, and where its result or CommandRefused will be."""

    command: Command[Any]
    future: asyncio.Future[Any]
    line: int
    """Octets of its line, without literals."""
    upload: encode.Upload | None
    uploading: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is ready for the octets of its upload, or has refused them."""

    @property
    def is_refused(self) -> bool:
        """Whether the answer is there, and is a refusal."""
        done = self.future.done() and self.future.exception() is None
        return done and isinstance(self.future.result(), CommandRefused)


class Dispatcher:
    """The commands in flight, and the state of the session that responses change."""

    def __init__(self) -> None:
        self.capabilities = Capabilities()
        self.selected: Selected | None = None
        self.on_unsolicited: Callable[[Untagged], None] = _ignore
        self.ended = asyncio.Event()  # for those who wait while no command runs
        self._framer = Framer()
        self._tags = count(1)
        self._loop = asyncio.get_running_loop()
        self._running: dict[bytes, Running] = {}
        self.learnt = Learnt()
        self._unsent: deque[tuple[bytes, encode.Write]] = deque()
        self._awaited: bytes | None = None  # the tag whose literal the server must ask for
        self._upload: bytes | None = None  # the tag whose upload is under way
        self._greeting: asyncio.Future[Untagged] = self._loop.create_future()
        self._plain_ends = False  # between the OK to STARTTLS and the end of the handshake
        self._bye: str | None = None
        self._lost: ImapError | None = None

    def _write(self, octets: bytes) -> None:
        raise NotImplementedError

    def _send(self, commands: Sequence[Command[Any]]) -> list[Running]:
        encoded = [command.encode() for command in commands]
        literals = encode.Literals.of(self.capabilities)
        started: list[Running] = []
        for command, arguments in zip(commands, encoded, strict=True):
            command.tag = b"g%d" % next(self._tags)
            future: asyncio.Future[Any] = self._loop.create_future()
            running = Running(command, future, len(arguments.line), _upload(arguments))
            self._running[command.tag] = running
            started.append(running)
            writes = encode.serialise(command.tag, arguments, literals)
            self._unsent.extend((command.tag, write) for write in writes)
        self._flush()
        return started

    def _flush(self) -> None:
        """Send all that needs no continuation request, and the end of no upload, first."""
        ready: list[bytes] = []
        while self._unsent and self._awaited is None and self._upload is None:
            tag, write = self._unsent.popleft()
            ready.append(write.octets)
            self._awaited = tag if write.waits else None
            self._upload = tag if write.uploads else None
        if ready:
            self._write(b"".join(ready))
        if self._upload is not None and self._awaited is None:
            self._running[self._upload].uploading.set()

    def _uploaded(self, running: Running) -> None:
        """The octets of an upload were sent: go on with what follows them."""
        if self._upload == running.command.tag:
            self._upload = None
            self._flush()

    def _read(self, chunk: bytes) -> None:
        position = 0
        takes = _TAKES
        fresh = True  # bulk rows are looked for where a run of them may begin
        while position < len(chunk):
            if self._plain_ends:
                raise ProtocolError("octets after the answer to STARTTLS")
            if fresh and takes and not self._framer.pending:
                first = next(iter(self._running.values()), None)
                if first is not None and first.command.bulk:
                    takes -= 1
                    fresh = False
                    chunk = first.command.take(chunk[position:])
                    position = 0
                    continue
            frame, position = self._framer.read(chunk, position)
            if frame is not None and frame.octets:
                self._dispatch(responses.parse(frame))
                fresh = True

    def _dispatch(self, response: Untagged | Tagged | Continuation) -> None:
        if isinstance(response, Tagged):
            self._tagged(response)
        elif isinstance(response, Untagged):
            self._untagged(as_fetch(response))
        elif self._awaited is not None:
            self._awaited = None
            self._flush()
        elif self._running:  # else unasked for: Exchange does that
            first = next(iter(self._running.values()))
            answer = first.command.answer(response.text)
            if answer is not None:
                self._write(answer)

    def _tagged(self, tagged: Tagged) -> None:
        running = self._running.pop(tagged.tag, None)
        if running is None:
            raise ProtocolError(f"a response to no command: {tagged.tag!r}")
        command = running.command
        self._unsent = deque(entry for entry in self._unsent if entry[0] != tagged.tag)
        interrupted = self._upload == tagged.tag and self._awaited is None
        if tagged.tag in (self._awaited, self._upload):  # its literal is not sent then
            self._awaited = self._upload = None
        running.uploading.set()
        code = tagged.text.code
        if code is not None and code.name == "CAPABILITY" and tagged.status == "OK":
            self.capabilities = Capabilities.parse(code.arguments)
        result: Any
        failure: ImapError | None = None
        try:
            result = command.finish(tagged)
        except CommandRefused as refused:
            result = refused
            failure = refusals.of_session(refused, stores=command.stores)
            if refusals.is_too_long(refused):
                self.shorten_lines(running.line)
        if command.selects:
            self.selected = result if isinstance(result, Selected) else None
        self._plain_ends = isinstance(command, StartTls) and tagged.status == "OK"
        for response in command.unclaimed():
            self.on_unsolicited(response)
        IMAP_COMMANDS.labels(command.name, tagged.status.lower()).inc()
        _settle(running.future, failure or result)
        if isinstance(failure, AuthenticationFailed):
            raise failure
        if interrupted:
            raise ProtocolError("an answer in the middle of a literal")
        self._flush()

    def shorten_lines(self, refused: int) -> None:
        """Send lines of half so many octets from now on: these were too many."""
        self.learnt.line = max(LINE_LEAST, refused // 2)

    def _untagged(self, response: Untagged) -> None:
        if not self._greeting.done():
            if response.name not in responses.STATES:
                raise ProtocolError(f"the server greets with {response.name}")
            code = response.text.code
            if code is not None and code.name == "CAPABILITY":
                self.capabilities = Capabilities.parse(code.arguments)
            self._greeting.set_result(response)
            return
        if response.name == "CAPABILITY":
            self.capabilities = Capabilities.parse(response.values)
        for running in list(self._running.values()):
            if running.command.collect(response):
                break
        else:
            self.on_unsolicited(response)
        if response.name == "BYE":
            self._bye = response.text.text
            if not any(running.command.ends for running in self._running.values()):
                raise ConnectionLost(self._bye, bye=True)

    def _give_up(self, error: ImapError) -> None:
        """Fail everything that waits, with the first error there was."""
        if self._lost is None:
            self._lost = error
            self.selected = None
            self.ended.set()
        for future in (self._greeting, *(each.future for each in self._running.values())):
            if not future.done():
                future.set_exception(self._lost)
                future.exception()  # whoever waited may have gone
        outcome = "timeout" if isinstance(error, CommandTimeout) else "lost"
        for running in self._running.values():
            running.uploading.set()
            IMAP_COMMANDS.labels(running.command.name, outcome).inc()
        self._running.clear()
        self._unsent.clear()


def _upload(arguments: encode.Encoded) -> encode.Upload | None:
    uploads = (part for part in arguments.segments if isinstance(part, encode.Upload))
    return next(uploads, None)


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    """Whoever waits gets the result, or the error that is not the command's own."""
    if future.done():
        return
    if isinstance(outcome, ImapError) and not isinstance(outcome, CommandRefused):
        future.set_exception(outcome)
        future.exception()  # whoever waited may have gone
    else:
        future.set_result(outcome)


def _ignore(response: Untagged) -> None:
    """Nobody has asked for news."""
