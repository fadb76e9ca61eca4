"""What the tests of the sender share."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.webpush.sender import Sender
from gateway.webpush.vapid import Vapid
from tests.servers.push_service import PushService, push_service
from tests.webpush.network import Network
from tests.webpush.sending import LOOPBACK


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[PushService]:
    """Give a push service."""
    async with push_service(tmp_path / "push") as service:
        yield service


@pytest.fixture
def trust(service: PushService) -> ssl.SSLContext:
    """Give what knows the authority of `service`."""
    return ssl.create_default_context(cafile=service.certificates.authority)


@pytest.fixture
def vapid() -> Vapid:
    return Vapid.generate("mailto:postmaster@example.test")


@pytest.fixture
async def sender(trust: ssl.SSLContext) -> AsyncIterator[Sender]:
    """Give a sender that may push to loopback addresses."""
    async with Sender(LOOPBACK, trust) as sender:
        yield sender


@pytest.fixture
async def network(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Network]:
    """Give the network of the test, installed."""
    made = Network()
    made.install(monkeypatch)
    yield made
    made.answered.set()
