"""RFC 2177: while nobody is active, Dovecot hibernates the connection of a watcher."""

from __future__ import annotations

import asyncio
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.sync import watcher
from tests.servers.dovecot import Dovecot
from tests.sync.letters import letter
from tests.sync.watching import SECONDS, watching

_DOCUMENT = Path(__file__).parents[2] / "deploy" / "docs" / "dovecot.md"


def settings() -> str:
    """What the documentation advises, with less patience."""
    block = re.search(r"(?m)^    imap_hibernate_timeout.*\n(?:    .*\n)+", _DOCUMENT.read_text())
    assert block is not None
    return textwrap.dedent(block[0]).replace("30s", "1s")


def processes(server: Dovecot, service: str) -> int:
    """The processes of a service."""
    _, *rows = filter(None, server.doveadm("process", "status", service).splitlines())
    return len(rows)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.1)


async def test_idling_connections_hibernate_and_still_tell(
    start_dovecot: Callable[..., Dovecot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "POLL_SECONDS", 1e6)
    server = start_dovecot(extra=settings())
    user = server.add_user()
    async with watching(server.imap_port, user, active=False) as watched:
        connection = await watched.on_inbox()
        await until(lambda: processes(server, "imap") == 0)
        assert processes(server, "imap-hibernate") == 1
        assert not connection.closed
        watched.told.clear()
        await asyncio.to_thread(server.append_all, user, "INBOX", [letter(1)])
        await watched.change()


async def test_one_who_becomes_active_is_woken_up(
    start_dovecot: Callable[..., Dovecot], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 5465: NOTIFY keeps a process, so it is for those who are active."""
    monkeypatch.setattr(watcher, "POLL_SECONDS", 1e6)
    server = start_dovecot(extra=settings())
    user = server.add_user()
    async with watching(server.imap_port, user, active=False) as watched:
        await watched.on_inbox()
        await until(lambda: processes(server, "imap") == 0)
        watched.watch.active = True
        await watched.until(vouches=True)
        assert processes(server, "imap") == 1
        await asyncio.to_thread(server.append_all, user, "Sent", [letter(1)])
        await watched.change()
        watched.watch.active = False
        await watched.on_inbox()
        await until(lambda: processes(server, "imap") == 0)
