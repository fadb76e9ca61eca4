"""RFC 8620 §7.1: accounts that are only listened to go out of memory, and a report wakes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.obs.metrics import ACTIVE_ACCOUNTS
from gateway.sync import audiences
from tests.app import harness
from tests.app.harness import Client, client_of, settings
from tests.app.sharing import accounts as accounts_of
from tests.app.sharing import share
from tests.deploy.test_dovecot_events import SECRET, options
from tests.push.reader import Reader
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.process import free_port
from tests.servers.smtp import AUTH, Script, smtp_server
from tests.sync.letters import letter

SECONDS = 30


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have accounts sleep as soon as they may."""
    monkeypatch.setattr(audiences, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(audiences, "REST_SECONDS", 0.0)
    monkeypatch.setattr(audiences, "_TICK_SECONDS", 0.1)


async def all_asleep() -> None:
    async with asyncio.timeout(SECONDS):
        while _active() > 0:
            await asyncio.sleep(0.02)


def _active() -> float:
    (metric,) = ACTIVE_ACCOUNTS.collect()
    (sample,) = metric.samples
    return sample.value


@asynccontextmanager
async def listening(
    directory: Path, prepare: Callable[[Dovecot, User], object] | None = None, **further: str
) -> AsyncIterator[tuple[Dovecot, Client, User]]:
    """A Dovecot that reports, and a client of a user with one message."""
    listener = f"127.0.0.1:{free_port()}"
    chosen = options(directory, [f"http://{listener}/events"])
    with Dovecot(replace(chosen, acl=prepare is not None)) as server:
        user = server.add_user()
        if prepare is not None:
            prepare(server, user)
        server.append_all(user, "INBOX", [letter(1)])
        configured = settings(
            server,
            directory,
            JMAP_GATEWAY_SERVER__ADMIN_LISTEN=listener,
            JMAP_GATEWAY_EVENTS__SECRET=SECRET,
            **further,
        )
        async with client_of(configured, user) as client:
            await client.call("Email/query", sort=[{"property": "subject"}])
            yield server, client, user


async def stream(client: Client, last: str = "") -> Reader:
    url = f"{client.url}/jmap/eventsource?types=*&closeafter=no&ping=0"
    headers = client.headers | ({"Last-Event-ID": last} if last else {})
    return Reader(await client.http.get(url, headers=headers))


async def test_a_report_wakes_an_account(tmp_path: Path) -> None:
    """What is told is what /get gives, again and again."""
    async with listening(tmp_path) as (server, client, user):
        reader = await stream(client)
        await reader.opened()
        for number in (2, 3):
            await all_asleep()
            await asyncio.to_thread(server.append_all, user, "INBOX", [letter(number)])
            changed = (await reader.state())[client.account_id]
            assert changed.keys() == {"Mailbox", "Thread", "Email", "EmailDelivery"}
            got = await client.call("Email/get", ids=[])
            assert got["state"] == changed["Email"]


async def test_who_comes_back_costs_the_mail_server_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(tmp_path) as (server, client, user):
        reader = await stream(client)
        await reader.opened()
        await all_asleep()
        reader.response.close()
        server.stop()
        again = await stream(client, reader.parser.last_event_id)
        assert await again.opened() is None
        server.start()
        await asyncio.to_thread(server.append_all, user, "INBOX", [letter(2)])
        assert client.account_id in await again.state()


async def test_what_came_while_nobody_listened_is_told(tmp_path: Path) -> None:
    async with listening(tmp_path) as (server, client, user):
        reader = await stream(client)
        await reader.opened()
        await all_asleep()
        reader.response.close()
        await asyncio.to_thread(server.append_all, user, "INBOX", [letter(2)])
        again = await stream(client, reader.parser.last_event_id)
        assert "Email" in (await again.state())[client.account_id]


async def test_what_others_share_is_reported_of_sleepers_too(tmp_path: Path) -> None:
    others: list[User] = []

    def prepare(server: Dovecot, user: User) -> None:
        others.append(server.add_user())
        server.create(others[0], "Team")
        share(server, others[0], "Team", user.username, "lrswit")

    async with listening(tmp_path, prepare) as (server, client, _):
        (bob,) = others
        account_id, _ = (await accounts_of(client))[bob.username]
        reader = await stream(client)
        await reader.opened()
        await all_asleep()
        await asyncio.to_thread(server.append_all, bob, "Team", [letter(7)])
        while account_id not in await reader.state():
            pass


async def test_a_password_that_was_changed_ends_the_stream(tmp_path: Path) -> None:
    async with listening(tmp_path) as (server, client, user):
        reader = await stream(client)
        await reader.opened()
        await all_asleep()
        changed = server.add_user(user.username, "another password")
        await asyncio.sleep(1.1)  # Dovecot looks for changes of its file once a second
        await asyncio.to_thread(server.append_all, changed, "INBOX", [letter(2)])
        assert await reader.next() is None


async def test_what_is_in_no_mailbox_is_told_of_sleepers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that is held is sent while the account sleeps."""
    monkeypatch.setattr(harness, "USING", [*harness.USING, "urn:ietf:params:jmap:submission"])
    async with smtp_server(Script(AUTH)) as smtp:
        further = {
            "JMAP_GATEWAY_SMTP__URL": f"smtp://127.0.0.1:{smtp.port}",
            "JMAP_GATEWAY_IDENTITIES__ADDRESSES": "{local}@example.org",
        }
        async with listening(tmp_path, None, **further) as (_, client, _user):
            (identity,) = (await client.call("Identity/get", ids=None))["list"]
            (inbox,) = (await client.call("Mailbox/query", filter={"role": "inbox"}))["ids"]
            draft = {"mailboxIds": {inbox: True}, "from": [{"email": identity["email"]}]}
            created = (await client.call("Email/set", create={"d": draft}))["created"]
            envelope = {
                "mailFrom": {"email": identity["email"], "parameters": {"HOLDFOR": "3"}},
                "rcptTo": [{"email": "rcpt@example.net"}],
            }
            held = {
                "identityId": identity["id"],
                "emailId": created["d"]["id"],
                "envelope": envelope,
            }
            answer = await client.call("EmailSubmission/set", create={"s": held})
            assert answer["created"] is not None, answer
            reader = await stream(client)
            await reader.opened()
            await all_asleep()
            while "EmailSubmission" not in (await reader.state())[client.account_id]:
                pass
            assert len(smtp.messages) == 1
