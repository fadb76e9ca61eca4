"""RFC 9051 §2.2.1, §5.5: which response belongs to which command.

Answers to pipelined commands overtake each other, so tagged responses are matched by tag; untagged
ones are offered to the running commands in the order they were sent. Whatever nobody takes goes to
`on_unsolicited`: nothing is dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from gateway.imap.command import Command
from gateway.imap.commands.examine import Selected
from gateway.imap.commands.starttls import StartTls
from gateway.imap.errors import CommandRefused, CommandTimeout, ImapError, ProtocolError
from gateway.imap.wire import encode, responses
from gateway.imap.wire.capability import Capabilities
from gateway.imap.wire.framer import Framer
from gateway.imap.wire.responses import Continuation, Tagged, Untagged
from gateway.obs.metrics import IMAP_COMMANDS

_TAKES = 8  # times a chunk is tried as bulk rows, which bounds the work on hostile mail


@dataclass(slots=True, eq=False)
class Running:
    """A command that was sent, and where its result or CommandRefused will be."""

    command: Command[Any]
    future: asyncio.Future[Any]


class Dispatcher:
    """The commands in flight, and the state of the session that responses change."""

    def __init__(self) -> None:
        self.capabilities = Capabilities()
        self.selected: Selected | None = None
        self.on_unsolicited: Callable[[Untagged], None] = _ignore
        self._framer = Framer()
        self._tags = count(1)
        self._loop = asyncio.get_running_loop()
        self._running: dict[bytes, Running] = {}
        self._unsent: deque[tuple[bytes, bytes, bool]] = deque()  # tag, octets, whether to wait
        self._awaited: bytes | None = None  # the tag whose literal the server must ask for
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
            running = Running(command, self._loop.create_future())
            self._running[command.tag] = running
            started.append(running)
            *waits, last = encode.serialise(command.tag, arguments, literals)
            self._unsent.extend((command.tag, octets, True) for octets in waits)
            self._unsent.append((command.tag, last, False))
        self._flush()
        return started

    def _flush(self) -> None:
        """Send all that needs no continuation request first."""
        ready: list[bytes] = []
        while self._unsent and self._awaited is None:
            tag, octets, waits = self._unsent.popleft()
            ready.append(octets)
            self._awaited = tag if waits else None
        if ready:
            self._write(b"".join(ready))

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
            self._untagged(response)
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
        if self._awaited == tagged.tag:
            self._awaited = None
        code = tagged.text.code
        if code is not None and code.name == "CAPABILITY" and tagged.status == "OK":
            self.capabilities = Capabilities.parse(code.arguments)
        result: Any
        try:
            result = command.finish(tagged)
        except CommandRefused as refused:
            result = refused
        if command.selects:
            self.selected = result if isinstance(result, Selected) else None
        self._plain_ends = isinstance(command, StartTls) and tagged.status == "OK"
        for response in command.unclaimed():
            self.on_unsolicited(response)
        IMAP_COMMANDS.labels(command.name, tagged.status.lower()).inc()
        if not running.future.done():
            running.future.set_result(result)
        self._flush()

    def _untagged(self, response: Untagged) -> None:
        if not self._greeting.done():
            if response.name not in responses.STATES:
                raise ProtocolError(f"the server greets with {response.name}")
            code = response.text.code
            if code is not None and code.name == "CAPABILITY":
                self.capabilities = Capabilities.parse(code.arguments)
            self._greeting.set_result(response)
            return
        if response.name == "BYE":
            self._bye = response.text.text
        elif response.name == "CAPABILITY":
            self.capabilities = Capabilities.parse(response.values)
        for running in list(self._running.values()):
            if running.command.collect(response):
                return
        self.on_unsolicited(response)

    def _give_up(self, error: ImapError) -> None:
        """Fail everything that waits, with the first error there was."""
        if self._lost is None:
            self._lost = error
            self.selected = None
        for future in (self._greeting, *(each.future for each in self._running.values())):
            if not future.done():
                future.set_exception(self._lost)
                future.exception()  # whoever waited may have gone
        outcome = "timeout" if isinstance(error, CommandTimeout) else "lost"
        for running in self._running.values():
            IMAP_COMMANDS.labels(running.command.name, outcome).inc()
        self._running.clear()
        self._unsent.clear()


def _ignore(response: Untagged) -> None:
    """Nobody has asked for news."""
