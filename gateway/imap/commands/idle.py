"""RFC 2177 (RFC 9051 §6.3.13): IDLE."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from gateway.imap.command import Command, Commander
from gateway.imap.errors import CommandTimeout
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged, Untagged

REFRESH_SECONDS = 5 * 60.0
"""Some servers, and some that stand between, drop or forget who was silent for a few minutes, and
say nothing. Where the server speaks up now and then (Dovecot: "Still here", every two minutes),
IDLE goes on, as each DONE wakes a Dovecot that hibernates."""
_LONGEST_SECONDS = 25 * 60.0  # RFC 9051 §6.3.13: the server may log out after half an hour
_GRACE_SECONDS = 30.0  # for the server to begin, and to end


class Idle(Command[None]):
    """Everything the server says is handed on, until DONE."""

    name: ClassVar[str] = "IDLE"
    patient: ClassVar[bool] = True
    conclusion: ClassVar[bytes] = b"DONE\r\n"

    def __init__(self, on_response: Callable[[Untagged], None]) -> None:
        self._on_response = on_response
        self._loop = asyncio.get_running_loop()
        self.begun = asyncio.Event()
        self.heard = self._loop.time()

    def encode(self) -> Encoded:
        return encode.atom(self.name)

    def collect(self, response: Untagged) -> bool:
        self.heard = self._loop.time()
        self._on_response(response)
        return True

    def answer(self, challenge: bytes) -> bytes | None:
        self.begun.set()
        return None

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)


async def idle(
    conn: Commander,
    on_response: Callable[[Untagged], None],
    stop: asyncio.Event,
    refresh_seconds: float = REFRESH_SECONDS,
) -> None:
    """IDLE on the selected mailbox until `stop` is set.

    It begins anew when the server was silent for `refresh_seconds`, and before its patience ends.
    Raises CommandRefused, ConnectionLost, CommandTimeout (the server does not answer DONE).
    """
    while not stop.is_set():
        command = Idle(on_response)
        running = asyncio.ensure_future(conn.run(command, timeout=2 * _LONGEST_SECONDS))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await _silence(command, running, stopping, refresh_seconds)
            if not running.done():
                beginning = asyncio.ensure_future(command.begun.wait())
                try:
                    await _first(running, beginning, seconds=_GRACE_SECONDS)
                finally:
                    beginning.cancel()
                conn.conclude(command)
                await _first(running, seconds=_GRACE_SECONDS)
                if not running.done():
                    raise CommandTimeout(command.name, _GRACE_SECONDS)
            await running
        finally:
            stopping.cancel()
            running.cancel()  # of no effect when it is done; else it closes the connection
            await asyncio.gather(running, return_exceptions=True)


async def _silence(
    command: Idle, running: asyncio.Future[Any], stopping: asyncio.Future[Any], seconds: float
) -> None:
    """Wait until the server was silent for that long, or IDLE has gone on for long, or is over."""
    loop = asyncio.get_running_loop()
    longest = loop.time() + _LONGEST_SECONDS
    while not (running.done() or stopping.done()):
        left = min(command.heard + seconds, longest) - loop.time()
        if left <= 0:
            return
        await _first(running, stopping, seconds=left)


async def _first(*tasks: asyncio.Future[Any], seconds: float) -> None:
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
