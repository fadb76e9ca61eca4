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
"""RFC 9051 §6.3.13 has clients begin anew after 29 minutes. Some servers, and some that stand
between, drop or forget who was silent for a few, and say nothing."""
_GRACE_SECONDS = 30.0  # for the server to begin, and to end


class Idle(Command[None]):
    """Everything the server says is handed on, until DONE."""

    name: ClassVar[str] = "IDLE"
    patient: ClassVar[bool] = True
    conclusion: ClassVar[bytes] = b"DONE\r\n"

    def __init__(
        self, on_response: Callable[[Untagged], None], on_begin: Callable[[], None]
    ) -> None:
        self._on_response = on_response
        self._on_begin = on_begin
        self.begun = asyncio.Event()

    def encode(self) -> Encoded:
        return encode.atom(self.name)

    def collect(self, response: Untagged) -> bool:
        self._on_response(response)
        return True

    def answer(self, challenge: bytes) -> bytes | None:
        if not self.begun.is_set():
            self.begun.set()
            self._on_begin()
        return None

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)


async def idle(
    conn: Commander,
    on_response: Callable[[Untagged], None],
    stop: asyncio.Event,
    refresh_seconds: float = REFRESH_SECONDS,
    on_begin: Callable[[], None] = lambda: None,
) -> None:
    """IDLE on the selected mailbox until `stop` is set, beginning anew every `refresh_seconds`.

    `on_begin` is called each time the server has begun to tell. Raises CommandRefused,
    ConnectionLost, CommandTimeout (the server does not answer DONE).
    """
    while not stop.is_set():
        command = Idle(on_response, on_begin)
        running = asyncio.ensure_future(conn.run(command, timeout=2 * refresh_seconds))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await _first(running, stopping, seconds=refresh_seconds)
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


async def _first(*tasks: asyncio.Future[Any], seconds: float) -> None:
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
