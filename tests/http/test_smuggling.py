"""RFC 9112 §11.2: what two readers of HTTP could understand differently is refused by this one.

A proxy in front may have read one request where the gateway would read two. So each of these is
answered by 400, and what comes after it on the connection is not looked at.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.http.harness import Client, basic

SECONDS = 20.0
HEAD = b"POST /jmap/api HTTP/1.1\r\nHost: mail.example.test\r\nContent-Type: application/json\r\n"
BODY = b'{"using":[],"methodCalls":[]}'
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: mail.example.test\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LENGTH = b"Content-Length: 29\r\n"

AMBIGUOUS = {
    "length and chunks": LENGTH + CHUNKED + b"\r\n0\r\n\r\n",
    "chunks and length": CHUNKED + LENGTH + b"\r\n0\r\n\r\n",
    "two lengths": LENGTH + b"Content-Length: 30\r\n\r\n" + BODY,
    "a list of lengths": b"Content-Length: 29, 30\r\n\r\n" + BODY,
    "a signed length": b"Content-Length: +29\r\n\r\n" + BODY,
    "a negative length": b"Content-Length: -1\r\n\r\n" + BODY,
    "a hexadecimal length": b"Content-Length: 0x1d\r\n\r\n" + BODY,
    "a length with an underscore": b"Content-Length: 2_9\r\n\r\n" + BODY,
    "no length": b"Content-Length: \r\n\r\n" + BODY,
    "a length of other digits": "Content-Length: ٢٩\r\n\r\n".encode() + BODY,
    "a coding that is none": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding after the chunks": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunks twice": CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "a coding behind a control": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "two hosts": b"Host: evil.example\r\n" + LENGTH + b"\r\n" + BODY,
    "a blank before the colon": b"Content-Length : 29\r\n\r\n" + BODY,
    "a folded line": b"X-A: b\r\n Content-Length: 29\r\n\r\n" + BODY,
    "NUL in a value": b"X-A: b\0c\r\n" + LENGTH + b"\r\n" + BODY,
    "a bare CR in a value": b"X-A: b\rContent-Length: 0\r\n" + LENGTH + b"\r\n" + BODY,
    "a name with a blank": b"X A: b\r\n" + LENGTH + b"\r\n" + BODY,
    "a line without a colon": b"X-A\r\n" + LENGTH + b"\r\n" + BODY,
    "a chunk size too large": CHUNKED + b"\r\n" + b"F" * 17 + b"\r\n",
    "a chunk size that is none": CHUNKED + b"\r\nx\r\n" + BODY,
    "a negative chunk size": CHUNKED + b"\r\n-1\r\n" + BODY,
    "a chunk that is longer than it says": CHUNKED + b"\r\n5\r\n" + BODY + b"\r\n0\r\n\r\n",
}


async def answers(client: Client, octets: bytes) -> bytes:
    """All that is answered until the connection is closed, or nothing comes any more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    authorization = f"Authorization: {basic()['Authorization']}\r\n".encode()
    writer.write(HEAD + authorization + octets)
    async with asyncio.timeout(SECONDS):
        received = await reader.read()
    writer.close()
    return received


@pytest.mark.threat("R16")
@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_what_is_ambiguous_is_refused(client: Client, name: str) -> None:
    received = await answers(client, AMBIGUOUS[name] + SMUGGLED)
    assert received.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
    assert received.count(b"HTTP/1.") == 1


@pytest.mark.threat("R16")
async def test_the_reader_sees_two_requests_where_there_are_two(client: Client) -> None:
    """Or the tests above could not fail."""
    close = SMUGGLED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    received = await answers(client, LENGTH + b"\r\n" + BODY + close)
    assert received.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 404 " in received
