"""draft-ietf-jmap-emailpush-02: new mail of users who are away, and of what others share."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.ext.push_subscription.subscriptions import Book
from gateway.http import session
from gateway.push import line
from gateway.store.opening import open_store
from gateway.sync import audiences, login
from tests.app.sharing import accounts as accounts_of
from tests.app.sharing import share
from tests.deploy.test_dovecot_events import SECRET, options
from tests.push.emails import SECONDS, arrive, config, matters, pushed, subjects
from tests.push.subscribing import KEYS, subscriber
from tests.push.test_sleepers import all_asleep
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_config import Options
from tests.servers.mail_server import User
from tests.servers.process import free_port
from tests.servers.push_service import PushService
from tests.sync.letters import letter


@pytest.fixture(autouse=True)
def unspaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for what is there to spare push services."""
    monkeypatch.setattr(line, "_SPACING_SECONDS", 0.05)
    monkeypatch.setattr(line, "_FIRST_PAUSE", 0.1)


async def test_another_node_goes_on(
    dovecot: Dovecot, mailuser: User, service: PushService, tmp_path: Path
) -> None:
    """What came meanwhile is pushed in one, and what was pushed is not pushed again."""
    device, store = service.subscribe(), open_store(None, None, tmp_path)
    async with subscriber(dovecot, mailuser, service, tmp_path) as phone:
        account_id, book = phone.client.account_id, Book(store.durable)
        await phone.subscribe(device, types=[], emailPush={account_id: config("subject")})
        (before,) = (await book.of(account_id)).values()
        await arrive(dovecot, mailuser, letter(1))
        assert await subjects(device, 1) == ["matter 1"]
        async with asyncio.timeout(SECONDS):
            while [each.pushed for each in (await book.of(account_id)).values()] == [before.pushed]:
                await asyncio.sleep(0.02)
    await arrive(dovecot, mailuser, letter(2), letter(3))
    async with subscriber(dovecot, mailuser, service, tmp_path, sign_in=False):
        emails = pushed(await device.next())
        assert [email["subject"] for email in emails] == matters([2, 3])
        await arrive(dovecot, mailuser, letter(4))
        assert await subjects(device, 1) == ["matter 4"]
    await store.close()


async def test_mail_to_an_account_that_sleeps_is_pushed(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After which it sleeps again."""
    monkeypatch.setattr(audiences, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(audiences, "REST_SECONDS", 0.0)
    monkeypatch.setattr(audiences, "_TICK_SECONDS", 0.1)
    listener = f"127.0.0.1:{free_port()}"
    environment = {
        "JMAP_GATEWAY_SERVER__ADMIN_LISTEN": listener,
        "JMAP_GATEWAY_EVENTS__SECRET": SECRET,
        "JMAP_GATEWAY_PUSH__PASSWORD_KEYS": KEYS,
    }
    with Dovecot(options(tmp_path, [f"http://{listener}/events"])) as server:
        user = server.add_user()
        device = service.subscribe()
        async with subscriber(server, user, service, tmp_path, environment=environment) as phone:
            configs = {phone.client.account_id: config("subject")}
            await phone.subscribe(device, types=[], emailPush=configs)
            await all_asleep()
            # What is looked at for a push does not stay as if somebody had asked for it.
            monkeypatch.setattr(audiences, "QUIET_SECONDS", 600.0)
            for number in range(3):
                await arrive(server, user, letter(number))
                assert await subjects(device, 1) == [f"matter {number}"]
                await all_asleep()


async def test_mail_to_what_another_user_shares_is_pushed(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SHARED_SECONDS", 0.0)
    monkeypatch.setattr(login, "ANEW_SECONDS", 0.0)
    with Dovecot(Options(acl=True)) as server:
        ann, bob = server.add_user(), server.add_user()
        server.create(bob, "Team")
        share(server, bob, "Team", ann.username, "lrswit")
        async with subscriber(server, ann, service, tmp_path) as phone:
            account_id, _ = (await accounts_of(phone.client))[bob.username]
            device = service.subscribe()
            configs = {account_id: config("subject")}
            await phone.subscribe(device, types=[], emailPush=configs)
            await arrive(server, ann, letter(1))
            await arrive(server, bob, letter(2), mailbox="Team")
            push = await device.next()
            assert push.json["accountId"] == account_id
            assert pushed(push) == [{"subject": "matter 2"}]
