"""What the tests of Web Push share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.push.subscribing import Subscriber, subscriber
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.push_service import PushService, push_service


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[PushService]:
    """Give a push service."""
    async with push_service(tmp_path / "push") as service:
        yield service


@pytest.fixture
async def phone(
    dovecot: Dovecot, mailuser: User, service: PushService, tmp_path: Path
) -> AsyncIterator[Subscriber]:
    """Give a client of `mailuser` who can subscribe."""
    async with subscriber(dovecot, mailuser, service, tmp_path) as phone:
        yield phone


@pytest.fixture
async def account_id(phone: Subscriber) -> str:
    """Give the id of the user's own account."""
    await phone.client.session()
    return phone.client.account_id
