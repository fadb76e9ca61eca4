"""RFC 9051 §6.3.12: messages that are at hand, in memory or in a file."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.sync.spool import IN_MEMORY, spooled


async def chunks_of(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the directory for files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("sizes", [(), (5,), (IN_MEMORY,), (IN_MEMORY, 1), (1, 3 * IN_MEMORY, 7)])
async def test_octets_can_be_taken_again_and_again(sizes: tuple[int, ...], directory: Path) -> None:
    octets = [bytes([n]) * size for n, size in enumerate(sizes)]
    async with spooled(chunks_of(*octets)) as chunks:
        assert b"".join([chunk async for chunk in chunks()]) == b"".join(octets)
        first = chunks()
        begun = await anext(first)
        assert b"".join([chunk async for chunk in chunks()]) == b"".join(octets)
        assert begun + b"".join([chunk async for chunk in first]) == b"".join(octets)
        assert not list(directory.iterdir())


async def test_a_source_that_fails_is_left_as_it_fails(directory: Path) -> None:
    closed = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield bytes(2 * IN_MEMORY)
            raise ConnectionError
        finally:
            closed.append(True)

    with pytest.raises(ConnectionError):
        async with spooled(source()):
            pass
    assert closed
    assert not list(directory.iterdir())


async def test_a_disk_without_room_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/full")
    with pytest.raises(OSError):  # noqa: PT011
        async with spooled(chunks_of(bytes(2 * IN_MEMORY))):
            pass
