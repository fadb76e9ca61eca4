"""RFC 9051 §6.3.12: the octets of a message, at hand before the server is told to wait for them.

What is read from the mail server itself takes a connection, as APPEND does, and an account may have
no second one to spare. It also must not come to nothing in the middle of an APPEND.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import IO, Final

IN_MEMORY: Final = 1 << 18
"""Octets up to which a message is kept in memory."""
_CHUNK = 1 << 18

Chunks = Callable[[], AsyncIterator[bytes]]


@asynccontextmanager
async def spooled(chunks: AsyncIterator[bytes]) -> AsyncIterator[Chunks]:
    """Give the same octets, which can be taken as often as need be.

    A large message is in a file without a name, which is gone with the process at the latest.
    Raises OSError when there is no room for it, and what `chunks` raises.
    """
    async with AsyncExitStack() as stack:
        if isinstance(chunks, AsyncGenerator):
            stack.push_async_callback(chunks.aclose)
        kept = bytearray()
        file: IO[bytes] | None = None
        async for chunk in chunks:
            if file is None and len(kept) + len(chunk) <= IN_MEMORY:
                kept += chunk
                continue
            if file is None:
                file = stack.enter_context(_file())
                await asyncio.to_thread(_write, file, kept)
                kept.clear()
            await asyncio.to_thread(_write, file, chunk)
        yield _of_memory(bytes(kept)) if file is None else _of_file(file)


def _file() -> IO[bytes]:
    return tempfile.TemporaryFile(buffering=0)


def _write(file: IO[bytes], octets: bytes | bytearray) -> None:
    view = memoryview(octets)
    while view:
        view = view[file.write(view) :]


def _of_memory(octets: bytes) -> Chunks:
    async def chunks() -> AsyncIterator[bytes]:
        yield octets

    return chunks


def _of_file(file: IO[bytes]) -> Chunks:
    async def chunks() -> AsyncIterator[bytes]:
        position = 0
        while chunk := await asyncio.to_thread(os.pread, file.fileno(), _CHUNK, position):
            position += len(chunk)
            yield chunk

    return chunks
