"""RFC 6455, threat R26: octets on a WebSocket that no good client sends, and who does not read."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import orjson
import pytest

from gateway.http import ws_connection
from gateway.obs.metrics import WEBSOCKETS
from tests.http.harness import Client, Harness
from tests.http.sockets import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    SECONDS,
    TEXT,
    RawSocket,
    frame,
    request,
)


async def test_fragments_are_put_together(client: Client) -> None:
    """RFC 8887 §4.3; control frames may come between them (RFC 6455 §5.4)."""
    socket = await RawSocket.open(client)
    body = request(id="ä")
    for at, octet in enumerate(body):
        opcode = TEXT if at == 0 else 0
        socket.writer.write(frame(opcode, bytes([octet]), last=at == len(body) - 1))
        if at == 3:
            socket.writer.write(frame(PING, b"between"))
    assert await socket.frame() == (PONG, b"between")
    opcode, payload = await socket.frame()
    assert (opcode, orjson.loads(payload)["requestId"]) == (TEXT, "ä")
    socket.writer.close()


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (frame(BINARY, b"{}"), 1003),
        (frame(TEXT, b'{"@type":"\xff"}'), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (frame(TEXT, b"\xc3"), 1007),
        (frame(0, b"{}"), 1002),
        (frame(TEXT, b"{", last=False) + frame(TEXT, b"}"), 1002),
        (frame(TEXT | 0x40, b"{}"), 1002),
        (frame(0x3, b"{}"), 1002),
        (frame(PING, b"", last=False), 1002),
        (frame(PING, b"x" * 126), 1002),
        (bytes([0x81, 0xFF]) + (1001).to_bytes(8, "big"), 1009),
        (bytes([0x81, 0xFF]) + b"\xff" * 8, 1009),
        (frame(TEXT, b"x" * 600, last=False) + frame(0, b"x" * 600), 1009),
    ],
)
async def test_hostile_frames_end_it(harness: Harness, octets: bytes, code: int) -> None:
    client = await harness.start(max_size_request=1000)
    socket = await RawSocket.open(client)
    socket.writer.write(octets)
    assert await socket.close_code() == code
    socket.writer.write(frame(CLOSE, b""))
    assert await socket.gone() == b""


async def test_largest_message_is_taken(harness: Harness) -> None:
    client = await harness.start(max_size_request=1000)
    socket = await RawSocket.open(client)
    body = request(x="")
    socket.writer.write(frame(TEXT, request(x="x" * (1000 - len(body)))))
    assert (await socket.frame())[0] == TEXT
    socket.writer.close()


async def test_good_bye_is_returned(client: Client) -> None:
    socket = await RawSocket.open(client)
    socket.writer.write(frame(CLOSE, (1000).to_bytes(2, "big")))
    assert await socket.close_code() == 1000
    assert await socket.gone() == b""


async def test_flood_of_pings_by_who_does_not_read(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pongs are not collected for it, and in the end it is cut off."""
    monkeypatch.setattr(ws_connection, "_STALL_SECONDS", 0.5)
    before = WEBSOCKETS._value.get()
    socket = await RawSocket.open(client)
    pings = frame(PING, b"x" * 125) * 1000
    sent = 0
    async with asyncio.timeout(SECONDS):
        with suppress(ConnectionError):
            while sent < 64 << 20:
                socket.writer.write(pings)
                await socket.writer.drain()
                sent += len(pings)
        while WEBSOCKETS._value.get() > before:
            await asyncio.sleep(0.01)
    assert sent < 64 << 20


async def test_answers_are_not_collected_for_who_does_not_read(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ws_connection, "_STALL_SECONDS", 0.5)
    before = WEBSOCKETS._value.get()
    socket = await RawSocket.open(client)
    large = request(methodCalls=[["Core/echo", {"x": "x" * 8_000_000}, "0"]])
    socket.writer.write(frame(TEXT, large) * 2)
    async with asyncio.timeout(SECONDS):
        while WEBSOCKETS._value.get() == before:
            await asyncio.sleep(0)
        while WEBSOCKETS._value.get() > before:
            await asyncio.sleep(0.01)
        assert len(await socket.gone()) < 2 * len(large)


async def test_dead_peer_is_noticed(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers no ping."""
    monkeypatch.setattr("gateway.http.websocket._HEARTBEAT_SECONDS", 0.2)
    client = await harness.start()
    before = WEBSOCKETS._value.get()
    socket = await RawSocket.open(client)
    assert await socket.frame() == (PING, b"")
    async with asyncio.timeout(SECONDS):
        while WEBSOCKETS._value.get() > before:
            await asyncio.sleep(0.01)
