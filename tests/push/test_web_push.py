"""RFC 8620 §7.2: what is pushed, and when, from a change in Dovecot to the device."""

from __future__ import annotations

import asyncio
import imaplib
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.ext.push_subscription.subscriptions import Book
from gateway.push import line
from gateway.store.opening import open_store
from gateway.sync import ids
from tests.deploy.test_dovecot_events import SECRET, options
from tests.push.subscribing import VAPID, Refused, Subscriber, changed, subscriber
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_config import Options
from tests.servers.mail_server import User
from tests.servers.process import free_port
from tests.servers.push_service import PushService, Subscription, held, status
from tests.sync.letters import letter


@pytest.fixture(autouse=True)
def unspaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for what is there to spare push services."""
    monkeypatch.setattr(line, "_SPACING_SECONDS", 0.05)
    monkeypatch.setattr(line, "_FIRST_PAUSE", 0.1)


async def arrive(server: Dovecot, user: User, number: int, mailbox: str = "INBOX") -> None:
    await asyncio.to_thread(server.append_all, user, mailbox, [letter(number)])


def flag(server: Dovecot, user: User) -> None:
    with server.imap(user) as imap:
        assert imap.select("INBOX")[0] == "OK"
        assert imap.store("1", "+FLAGS", r"(\Flagged)")[0] == "OK"


def wait_until_refused(server: Dovecot, user: User) -> None:
    """Dovecot looks for changes once a second."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with server.imap(user):
                time.sleep(0.1)
        except imaplib.IMAP4.error:
            return
    raise TimeoutError


async def state_of(phone: Subscriber) -> str:
    state: str = (await phone.client.call("Email/get", ids=[]))["state"]
    return state


@pytest.mark.checklist("K02", "K03", "K07", "K08")
async def test_what_another_program_does_is_pushed(
    phone: Subscriber, service: PushService, dovecot: Dovecot, mailuser: User
) -> None:
    """The states are those that /get would give."""
    device = service.subscribe()
    await phone.subscribe(device)
    await arrive(dovecot, mailuser, 1)
    push = await device.next()
    told = changed(push)[phone.client.account_id]
    assert told["Email"] == await state_of(phone)
    assert told.keys() >= {"Email", "Mailbox", "Thread", "EmailDelivery"}
    assert push.headers["Urgency"] == "high"


@pytest.mark.checklist("K14")
async def test_only_what_the_client_wants(
    phone: Subscriber, service: PushService, dovecot: Dovecot, mailuser: User
) -> None:
    wants_all, wants_threads = service.subscribe(), service.subscribe()
    await phone.subscribe(wants_threads, types=["Thread", "CalendarEvent"])
    await phone.subscribe(wants_all)
    await arrive(dovecot, mailuser, 1)
    assert changed(await wants_threads.next())[phone.client.account_id].keys() == {"Thread"}
    await wants_all.next()
    await asyncio.to_thread(flag, dovecot, mailuser)
    told = changed(await wants_all.next())[phone.client.account_id]
    assert "Thread" not in told
    assert wants_threads.waiting == 0


@pytest.mark.threat("R5")
@pytest.mark.checklist("K04")
async def test_nothing_is_sent_before_it_is_verified(
    phone: Subscriber, service: PushService, dovecot: Dovecot, mailuser: User
) -> None:
    """Threat R5."""
    device, other = service.subscribe(), service.subscribe()
    await phone.create(device.url)
    await device.next()
    await phone.subscribe(other)
    for number in range(3):
        await arrive(dovecot, mailuser, number)
        await other.next()
    assert device.requests == 1


async def test_what_changes_during_a_push_is_told_in_the_next(
    phone: Subscriber, service: PushService, dovecot: Dovecot, mailuser: User
) -> None:
    device, other = service.subscribe(), service.subscribe()
    await phone.subscribe(device, types=["Email"])
    await phone.subscribe(other, types=["Email"])
    release = asyncio.Event()
    device.answers.append(held(release, status(201)))
    await arrive(dovecot, mailuser, 0)
    await other.next()
    for number in range(1, 4):
        await arrive(dovecot, mailuser, number)
        await other.next()
    assert device.requests == 2  # the verification, and the one that is under way
    release.set()
    push = await device.next()
    assert changed(push)[phone.client.account_id]["Email"] == await state_of(phone)
    assert device.waiting == 0


@pytest.mark.threat("R5")
@pytest.mark.parametrize("code", [404, 410])
async def test_a_device_that_is_gone_is_forgotten(
    code: int, phone: Subscriber, service: PushService, dovecot: Dovecot, mailuser: User
) -> None:
    device, other = service.subscribe(), service.subscribe()
    await phone.subscribe(device)
    kept = await phone.subscribe(other)
    device.answers.append(status(code))
    await arrive(dovecot, mailuser, 0)
    await other.next()
    async with asyncio.timeout(30):
        while [each["id"] for each in await phone.all()] != [kept]:
            await asyncio.sleep(0.05)
    await arrive(dovecot, mailuser, 1)
    await other.next()
    assert device.requests == 2


@pytest.mark.checklist("K08")
@pytest.mark.parametrize("code", [429, 500, 503])
async def test_a_push_service_in_trouble_is_asked_again(
    code: int, phone: Subscriber, service: PushService, dovecot: Dovecot, mailuser: User
) -> None:
    device = service.subscribe()
    await phone.subscribe(device, types=["Email"])
    device.answers += [status(code), status(code, Retry_After="1"), status(code)]
    await arrive(dovecot, mailuser, 0)
    push = await device.next()
    assert device.requests == 5
    assert changed(push)[phone.client.account_id]["Email"] == await state_of(phone)


async def test_without_keys_it_is_plain_json(
    phone: Subscriber, service: PushService, dovecot: Dovecot, mailuser: User
) -> None:
    device = service.subscribe()
    created = await phone.create(device.url)
    verification = await device.next()
    assert "Content-Encoding" not in verification.headers
    code = verification.json["verificationCode"]
    await phone.update(created["id"], verificationCode=code)
    await arrive(dovecot, mailuser, 0)
    assert changed(await device.next()).keys() == {phone.client.account_id}


# --- users who are away --------------------------------------------------------------------------


async def _subscribed(
    server: Dovecot, user: User, service: PushService, data_dir: Path, **options: Any
) -> Subscription:
    device = service.subscribe()
    async with subscriber(server, user, service, data_dir, **options) as phone:
        await phone.subscribe(device, types=["Email"])
        await arrive(server, user, 0)
        await device.next()
    return device


async def test_a_restarted_gateway_tells_what_came_meanwhile(
    dovecot: Dovecot, mailuser: User, service: PushService, tmp_path: Path
) -> None:
    """By the password that is kept, before the user has signed in again."""
    device = await _subscribed(dovecot, mailuser, service, tmp_path)
    await arrive(dovecot, mailuser, 1)
    async with subscriber(dovecot, mailuser, service, tmp_path, sign_in=False) as phone:
        await device.next()
        await arrive(dovecot, mailuser, 2)
        push = await device.next()
        await phone.client.session()
        assert changed(push)[phone.client.account_id]["Email"] == await state_of(phone)


@pytest.mark.threat("R13")
async def test_nobody_finds_the_password_in_the_store(
    dovecot: Dovecot, mailuser: User, service: PushService, tmp_path: Path
) -> None:
    """Threat R13; nor where pushes go to."""
    device = await _subscribed(dovecot, mailuser, service, tmp_path)
    (database,) = tmp_path.glob("*.db")
    kept = b"".join(path.read_bytes() for path in tmp_path.glob(f"{database.name}*"))
    for secret in (mailuser.password, device.url, device.keys["auth"], mailuser.username):
        assert secret.encode() not in kept


@pytest.mark.checklist("K11")
async def test_a_changed_password_ends_the_subscription(
    dovecot: Dovecot, mailuser: User, service: PushService, tmp_path: Path
) -> None:
    """RFC 8620 §7.2: the credentials are revoked."""
    await _subscribed(dovecot, mailuser, service, tmp_path)
    account_id = ids.account_id(f"127.0.0.1:{dovecot.imap_port}", mailuser.username)
    dovecot.add_user(mailuser.username, "another password")
    await asyncio.to_thread(wait_until_refused, dovecot, mailuser)
    store = open_store(None, None, tmp_path)
    assert await Book(store.durable).of(account_id)
    async with subscriber(dovecot, mailuser, service, tmp_path, sign_in=False):
        async with asyncio.timeout(30):
            while await Book(store.durable).of(account_id):
                await asyncio.sleep(0.05)
    await store.close()


MASTER = """
passdb {
  driver = static
  master = yes
  args = password=master-password
}
"""


async def test_a_master_user_looks_for_who_is_away(service: PushService, tmp_path: Path) -> None:
    """No password of a user is kept."""
    environment = {
        "JMAP_GATEWAY_IMAP__MASTER_USER": "gateway",
        "JMAP_GATEWAY_IMAP__MASTER_PASSWORD": "master-password",
    }
    with Dovecot(Options(extra=MASTER)) as server:
        user = server.add_user()
        device = await _subscribed(server, user, service, tmp_path, environment=environment)
        server.add_user(user.username, "another password")
        away: dict[str, Any] = {"sign_in": False, "environment": environment}
        async with subscriber(server, user, service, tmp_path, **away):
            await arrive(server, user, 1)
            await device.next()


@pytest.mark.parametrize("is_delivery", [True, False])
async def test_the_mail_server_reports_who_is_away(
    is_delivery: bool, service: PushService, tmp_path: Path
) -> None:
    """Without any way in: the device is told that something has changed."""
    listener = f"127.0.0.1:{free_port()}"
    environment = {
        "JMAP_GATEWAY_SERVER__ADMIN_LISTEN": listener,
        "JMAP_GATEWAY_EVENTS__SECRET": SECRET,
    }
    with Dovecot(options(tmp_path, [f"http://{listener}/events"])) as server:
        user = server.add_user()
        device = service.subscribe()
        async with subscriber(server, user, service, tmp_path, environment=environment) as phone:
            await phone.subscribe(device, types=["Email", "EmailDelivery"])
            account_id = phone.client.account_id
            await arrive(server, user, 0)
            await device.next()
        away: dict[str, Any] = {"sign_in": False, "environment": environment}
        async with subscriber(server, user, service, tmp_path, **away) as phone:
            await device.next()  # what came while nobody heard the reports is not known
            if is_delivery:
                await asyncio.to_thread(server.deliver, user, letter(1).octets)
            else:
                await arrive(server, user, 1)
            push = await device.next()
            told = changed(push)[account_id]
            assert told.keys() == ({"Email", "EmailDelivery"} if is_delivery else {"Email"})
            assert push.headers["Urgency"] == ("high" if is_delivery else "normal")
            await phone.client.session()
            assert told["Email"] != await state_of(phone)


async def test_without_any_way_there_are_no_subscriptions(
    dovecot: Dovecot, mailuser: User, service: PushService, tmp_path: Path
) -> None:
    async with subscriber(dovecot, mailuser, service, tmp_path, environment={}) as phone:
        assert VAPID not in (await phone.client.session())["capabilities"]
        with pytest.raises(Refused) as refused:
            await phone.all()
        assert refused.value.type == "unknownMethod"
