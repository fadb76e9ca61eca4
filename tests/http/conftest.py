"""Fixtures of the HTTP tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.http.harness import Backend, Client, Harness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with AsyncExitStack() as stack:
        yield Harness(stack)


@pytest.fixture
async def client(harness: Harness) -> Client:
    """Give a client of a service with default settings."""
    return await harness.start()


@pytest.fixture
def backend(harness: Harness) -> Backend:
    return harness.backend
