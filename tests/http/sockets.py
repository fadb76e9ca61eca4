"""RFC 6455: a WebSocket whose every octet the test chooses, and one of aiohttp's."""

from __future__ import annotations

import asyncio
import base64
import struct
from dataclasses import dataclass
from typing import Any, Self

import orjson
from aiohttp import ClientWebSocketResponse, WSMsgType

from tests.http.harness import CORE, MAIL, Client, basic

PATH = "/jmap/ws"
SECONDS = 30
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_MASK = b"\x01\x02\x03\x04"

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
    "Sec-WebSocket-Protocol": "jmap",
}


def frame(opcode: int, payload: bytes, *, last: bool = True, masked: bool = True) -> bytes:
    """Give a frame as a client sends it."""
    head = bytes([opcode | (0x80 if last else 0)])
    flag = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([flag | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", len(payload))
    if not masked:
        return head + payload
    mask = (_MASK * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return head + _MASK + mixed.to_bytes(len(payload), "big")


def request(**members: Any) -> bytes:
    """Encode a Request that is answered at once, with further members."""
    return orjson.dumps(
        {"@type": "Request", "using": [MAIL], "methodCalls": [["Core/echo", {}, "0"]], **members}
    )


@dataclass
class RawSocket:
    """A connection after its handshake."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, client: Client) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1 << 16)
        fields = {"Host": "x", **HANDSHAKE, **basic()}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"GET {PATH} HTTP/1.1\r\n{head}\r\n".encode())
        async with asyncio.timeout(SECONDS):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        return cls(reader, writer)

    async def frame(self) -> tuple[int, bytes]:
        """Give the next frame of the server."""
        async with asyncio.timeout(SECONDS):
            first, length = await self.reader.readexactly(2)
            assert first & 0xF0 == 0x80, "whole, and without extensions"
            if length == 126:
                [length] = struct.unpack(">H", await self.reader.readexactly(2))
            elif length == 127:
                [length] = struct.unpack(">Q", await self.reader.readexactly(8))
            return first & 0xF, await self.reader.readexactly(length)

    async def close_code(self) -> int:
        """Give the code with which the server closes, which it does next."""
        opcode, payload = await self.frame()
        assert opcode == CLOSE
        return int.from_bytes(payload[:2], "big")

    async def gone(self) -> bytes:
        """Give what comes until the connection ends."""
        async with asyncio.timeout(SECONDS):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


class Socket:
    """A client that follows the rules."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    @classmethod
    async def open(cls, client: Client, **headers: str) -> Self:
        http = await client.ws_connect(
            PATH, protocols=("jmap",), headers={**basic(), **headers}, max_msg_size=0
        )
        return cls(http)

    async def send(self, **members: Any) -> None:
        """Send an object; `type` is its @type."""
        message = {"@type": members.pop("type"), **members}
        await self.socket.send_str(orjson.dumps(message).decode())

    async def ask(self, *calls: Any, id: str | None = None) -> None:
        """Send a Request."""
        named = {} if id is None else {"id": id}
        await self.send(type="Request", using=[CORE, MAIL], methodCalls=list(calls), **named)

    async def enable(self, types: list[str] | None = None, **members: Any) -> None:
        """Want pushes."""
        await self.send(type="WebSocketPushEnable", dataTypes=types, **members)

    async def next(self) -> dict[str, Any]:
        """Give the next object."""
        message = await self.socket.receive(timeout=SECONDS)
        assert message.type is WSMsgType.TEXT, message
        value: dict[str, Any] = orjson.loads(message.data)
        return value

    async def echo(self) -> None:
        """Wait until everything sent so far was taken note of."""
        await self.ask(["Core/echo", {}, "0"], id="echo")
        while (await self.next()).get("requestId") != "echo":
            pass

    async def close_code(self) -> int | None:
        """Give the code with which the server closes, which it does next."""
        message = await self.socket.receive(timeout=SECONDS)
        assert message.type is WSMsgType.CLOSE, message
        return self.socket.close_code
