"""RFC 2177 (IDLE): changes of the inbox are known of as they happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.imap.errors import ImapError
from gateway.sync import account as account_module
from gateway.sync import watcher
from gateway.sync.watcher import watch
from tests.servers.dovecot import Dovecot, User
from tests.sync import raw
from tests.sync.conftest import Gateways
from tests.sync.letters import letter
from tests.sync.views import view

DEADLINE = 20.0


def read(server: Dovecot, user: User) -> None:
    with server.imap(user) as client:
        client.select("INBOX")
        client.uid("STORE", "1", "+FLAGS", "(\\Seen)")


def expunge(server: Dovecot, user: User) -> None:
    with server.imap(user) as client:
        client.select("INBOX")
        client.uid("STORE", "1", "+FLAGS.SILENT", "(\\Deleted)")
        client.expunge()


def arrive(server: Dovecot, user: User) -> None:
    server.append_all(user, "INBOX", [letter(9)])


@pytest.mark.parametrize("change", [read, expunge, arrive])
@pytest.mark.parametrize("server", ["everything", "no-qresync", "no-condstore"], indirect=True)
async def test_a_change_of_the_inbox_is_told(
    change: Callable[[Dovecot, User], None], server: Dovecot, gateways: Gateways
) -> None:
    user, changed = server.add_user(), asyncio.Event()
    server.append_all(user, "INBOX", [letter(1), letter(2)])
    account = await gateways.login(server, user)
    await account.fresh()
    watching = asyncio.create_task(watch(account.data, account.pool, changed))
    async with asyncio.timeout(DEADLINE):
        await changed.wait()  # for what came before
        changed.clear()
        await asyncio.to_thread(change, server, user)
        await changed.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_what_is_told_is_not_hidden_by_an_earlier_look(
    server: Dovecot, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_module, "MAX_TRUST_SECONDS", 1000.0)
    monkeypatch.setattr(account_module, "TRUST_FACTOR", 1e9)
    user = server.add_user()
    server.append_all(user, "INBOX", [letter(1), letter(2)])
    account = await gateways.login(server, user)
    await view(account)
    async with asyncio.timeout(DEADLINE):
        await account._changed.wait()
        await view(account)
        read(server, user)
        await account._changed.wait()
    assert await view(account) == raw.read(server, user)


async def test_a_watcher_ends_with_its_connection(
    start_dovecot: Callable[..., Dovecot], gateways: Gateways
) -> None:
    server, changed = start_dovecot(), asyncio.Event()
    account = await gateways.login(server, server.add_user())
    await account.fresh()
    watching = asyncio.create_task(watch(account.data, account.pool, changed))
    async with asyncio.timeout(DEADLINE):
        await changed.wait()
        server.stop()
        with pytest.raises(ImapError):
            await watching


async def test_a_server_without_idle_is_asked_every_now_and_then(
    start_dovecot: Callable[..., Dovecot], gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: asyncio.Queue[None] = asyncio.Queue()
    status = watcher._status

    async def look(*args: Any) -> Any:
        found = await status(*args)
        looks.put_nowait(None)
        return found

    monkeypatch.setattr(watcher, "_status", look)
    monkeypatch.setattr(watcher, "POLL_SECONDS", 0.02)
    server, changed = start_dovecot(without=("IDLE",)), asyncio.Event()
    user = server.add_user()
    account = await gateways.login(server, user)
    await account.fresh()
    watching = asyncio.create_task(watch(account.data, account.pool, changed))
    async with asyncio.timeout(DEADLINE):
        for _ in range(3):
            await looks.get()
        assert not changed.is_set()
        await asyncio.to_thread(arrive, server, user)
        await changed.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_the_only_connection_of_an_account_is_not_kept_for_watching(
    dovecot: Dovecot, mailuser: User, gateways: Gateways
) -> None:
    """Design §4: what the user asks for comes first; changes are looked for by polling."""
    dovecot.append_all(mailuser, "INBOX", [letter(1)])
    accounts = gateways.start(dovecot, connections=1)
    account = await accounts.login(mailuser.username, mailuser.password, "127.0.0.1")
    changed = asyncio.Event()
    async with asyncio.timeout(DEADLINE):
        await account.indexed()
        watching = asyncio.create_task(watch(account.data, account.pool, changed))
        for number in range(2, 5):
            await asyncio.to_thread(arrive, dovecot, mailuser)
            assert (await account.recheck()).emails.size == number
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
