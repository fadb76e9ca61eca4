"""Passes of the collector stop the event loop: there is one when memory grows, and not before."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.app import garbage


class Node:
    """Something that refers to itself."""

    def __init__(self) -> None:
        self.itself = self
        self.load = [object() for _ in range(50)]


@asynccontextmanager
async def collecting() -> AsyncIterator[None]:
    """Have the garbage collected meanwhile."""
    before = gc.get_threshold(), gc.get_freeze_count()
    task = asyncio.create_task(garbage.collect_what_grows())
    await asyncio.sleep(0)
    yield
    task.cancel()
    await asyncio.wait((task,))
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


async def test_what_has_grown_old_is_collected_when_there_is_more_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(garbage, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(garbage, "_GROWTH", 1.0)
    monkeypatch.setattr(garbage, "_LEAST_GROWTH", 20_000)
    async with collecting(), asyncio.timeout(20):
        node = Node()
        gone = weakref.ref(node)
        gc.collect(0)
        gc.collect(1)  # it is old now
        del node
        kept = [Node() for _ in range(1000)]
        while gone() is not None:
            await asyncio.sleep(0.01)
        assert len(kept) == 1000


def test_a_little_more_is_not_worth_a_pause() -> None:
    assert not garbage.is_due(1_000_000, 1_000_000)
    assert not garbage.is_due(1_350_000, 1_000_000)
    assert garbage.is_due(1_450_000, 1_000_000)
    assert not garbage.is_due(5_300_000, 4_000_000)
    assert garbage.is_due(5_700_000, 4_000_000)
