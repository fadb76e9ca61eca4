"""What the tests of sending share: a submission server, and a client of a gateway that has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.ext.submission.sending import SendingClient, sending
from tests.mail.conftest import _ask_the_server_each_time
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.smtp import AUTH, Script, SmtpServer, smtp_server

__all__ = ["_ask_the_server_each_time"]


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    """Give a submission server where users sign in."""
    async with smtp_server(Script(AUTH)) as server:
        yield server


@pytest.fixture
async def sender(
    dovecot: Dovecot, mailuser: User, smtp: SmtpServer, tmp_path: Path
) -> AsyncIterator[SendingClient]:
    """Give a client of `mailuser`, who has no mail yet."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(sending(dovecot, mailuser, tmp_path, smtp.port))
