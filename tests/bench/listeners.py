"""Many light clients: a socket each, and the moments at which something was pushed to it."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Literal, cast

from tests.servers.mail_server import User

Means = Literal["EventSource", "WebSocket"]

_OPEN_SECONDS = 120.0
_STATE = {"EventSource": b"event: state", "WebSocket": b'"@type":"StateChange"'}
_READY = {"EventSource": b"\nid:", "WebSocket": b"\r\n\r\n"}


@dataclass
class Listener(asyncio.Protocol):
    """One client; `moments` are those of time.perf_counter()."""

    user: User
    means: Means
    ready: asyncio.Future[None]
    moments: list[float] = field(default_factory=list)
    last_id: str = ""
    _transport: asyncio.Transport | None = None
    _begun: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no instance of it
        login = b64encode(f"{self.user.username}:{self.user.password}".encode()).decode()
        lines = ["Host: localhost", f"Authorization: Basic {login}"]
        if self.means == "EventSource":
            path = "/jmap/eventsource?types=*&closeafter=no&ping=0"
            lines += [f"Last-Event-ID: {self.last_id}"] if self.last_id else []
        else:
            path = "/jmap/ws"
            lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
            lines += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol: jmap"]
        request = "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""])
        self._transport.write(request.encode())

    def data_received(self, data: bytes) -> None:
        """Look for what was pushed."""
        if not self.ready.done():
            self._begun += data
            if _READY[self.means] in self._begun:
                self._open(self._begun)
                self._begun = b""
            return
        if _STATE[self.means] in data:
            self.moments.append(time.perf_counter())
        elif self.means == "WebSocket" and data[:1] == b"\x89":  # a ping
            self._send(0x8A, data[2:])

    def _open(self, octets: bytes) -> None:
        status = octets.split(b" ", 2)[1]
        if status not in (b"200", b"101"):
            self.ready.set_exception(ConnectionError(status.decode()))
            return
        if self.means == "WebSocket":
            self._send(0x81, json.dumps({"@type": "WebSocketPushEnable"}).encode())
        else:
            self.last_id = octets.rpartition(b"\nid:")[2].split(b"\n")[0].strip().decode()
        self.ready.set_result(None)

    def _send(self, first: int, payload: bytes) -> None:
        """RFC 6455 §5: a frame, masked with zeros."""
        assert self._transport is not None
        assert len(payload) < 126
        self._transport.write(bytes([first, 0x80 | len(payload)]) + b"\0\0\0\0" + payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionError("closed"))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()


async def listen(port: int, user: User, means: Means, last_id: str = "") -> Listener:
    """Return a client that is being told. Raises OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_OPEN_SECONDS):
        made = Listener(user, means, loop.create_future(), last_id=last_id)
        await loop.create_connection(lambda: made, "127.0.0.1", port)
        await made.ready
    return made
