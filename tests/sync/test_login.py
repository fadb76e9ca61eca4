"""RFC 8620 §1.6.2: which of a user's accounts are in memory, and for how long."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.imap.connection import Endpoint
from gateway.sasl import Credentials
from gateway.store.opening import open_store
from gateway.sync import accounts as accounts_module
from gateway.sync.account import Account
from gateway.sync.accounts import Accounts, Settings
from tests.servers.dovecot import Dovecot, User
from tests.servers.mail_server import expect_ok
from tests.sync.letters import letter

SECONDS = 20.0


@dataclass
class Shared:
    """Ann, with whom bob shares his inbox."""

    accounts: Accounts
    user: User
    own: Account
    id: str

    async def open(self) -> Account:
        account = await self.accounts.open(self.own, self.id)
        assert account is not None
        await account.fresh()
        await account.indexed()
        return account


@pytest.fixture
async def shared(
    start_dovecot: Callable[..., Dovecot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shared]:
    """Give what is shared, in a gateway that lets go of what was not used for a minute."""
    monkeypatch.setattr(accounts_module, "_SWEEP_SECONDS", 0.02)
    monkeypatch.setattr(accounts_module, "IDLE_SECONDS", 60.0)
    server = start_dovecot(acl=True)
    ann, bob = server.add_user(), server.add_user()
    server.append_all(bob, "INBOX", [letter(1)])
    with server.imap(bob) as imap:
        expect_ok(imap.setacl("INBOX", ann.username, "lr"))
    store = open_store("memory://", b"x" * 32, tmp_path)
    accounts = Accounts(Settings(Endpoint("127.0.0.1", server.imap_port, "plain"), None), store)
    own = await accounts.login(Credentials(ann.username, ann.password), "10.0.0.1")
    (account_id,) = await accounts.shared(own)
    yield Shared(accounts, ann, own, account_id)
    await accounts.close()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_what_is_shared_goes_by_itself_and_comes_back_the_same(shared: Shared) -> None:
    """Ids and states outlive the account in memory; the user's own one stays."""
    first = await shared.open()
    assert await shared.open() is first
    states = first.states()
    first.last_used = time.monotonic() - 100
    await until(lambda: first not in shared.accounts.reported(shared.user.username, []))
    again = await shared.open()
    assert again is not first
    assert (again.id, again.states()) == (first.id, states)
    assert shared.accounts.get(shared.user.username) is shared.own


async def test_what_is_shared_keeps_the_login_alive(shared: Shared) -> None:
    """Both go when neither is used: connections and all."""
    account = await shared.open()
    shared.own.last_used = time.monotonic() - 100
    with account.watch():
        account.last_used = time.monotonic() - 100
        for _ in range(5):  # sweeps
            await asyncio.sleep(accounts_module._SWEEP_SECONDS)
        assert shared.accounts.get(shared.user.username) is shared.own
    await until(lambda: shared.accounts.get(shared.user.username) is None)
    assert await shared.accounts.shared(shared.own) == {}
    assert await shared.accounts.open(shared.own, shared.id) is None


async def test_nobody_opens_what_is_shared_with_somebody_else(shared: Shared) -> None:
    assert await shared.accounts.open(shared.own, "a" + "A" * 16) is None
    assert await shared.accounts.open(shared.own, shared.own.id) is shared.own


async def test_what_goes_out_of_memory_is_free_at_once(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    """The collector of cycles is not needed for it, which stops the event loop."""
    dovecot.append_all(mailuser, "INBOX", [letter(1), letter(2)])
    store = open_store("memory://", b"x" * 32, tmp_path)
    accounts = Accounts(Settings(Endpoint("127.0.0.1", dovecot.imap_port, "plain"), None), store)
    gc.collect()
    gc.disable()
    try:
        known = await _listened_to(accounts, mailuser)
        await accounts.close()
        async with asyncio.timeout(SECONDS):
            while any(each() is not None for each in known):  # a few turns of the event loop
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def _listened_to(accounts: Accounts, user: User) -> list[weakref.ref[object]]:
    own = await accounts.login(Credentials(user.username, user.password), "10.0.0.1")
    await own.fresh()
    await own.indexed()
    async with accounts.follow(own, lambda _: False) as following:
        await following.fresh()
    return [weakref.ref(own), weakref.ref(own.data), weakref.ref(own.data.emails)]
