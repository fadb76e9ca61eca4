"""RFC 5423, RFC 8620 §7.3: from a change in Dovecot over its report to the event for the client."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.sync import watcher
from tests.app.harness import client_of, settings
from tests.app.sharing import accounts, share
from tests.deploy.test_dovecot_events import SECRET, options
from tests.push.reader import Reader
from tests.servers.dovecot import Dovecot
from tests.servers.process import free_port
from tests.sync.letters import letter


@pytest.mark.checklist("K03")
async def test_a_report_of_the_mail_server_reaches_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else would tell of it: the gateway has no connection that does, and does not look."""
    monkeypatch.setattr(watcher, "SAFETY_SECONDS", 1e6)
    listener = f"127.0.0.1:{free_port()}"
    with Dovecot(options(tmp_path, [f"http://{listener}/events"])) as server:
        user = server.add_user()
        server.append_all(user, "Sent", [letter(1)])
        configured = settings(
            server,
            tmp_path,
            JMAP_GATEWAY_SERVER__ADMIN_LISTEN=listener,
            JMAP_GATEWAY_EVENTS__SECRET=SECRET,
        )
        async with client_of(configured, user) as client:
            await client.call("Email/query", sort=[{"property": "subject"}])
            url = (await client.session())["eventSourceUrl"].format(
                types="Email", closeafter="no", ping=0
            )
            reader = Reader(await client.http.get(url, headers=client.headers))
            await reader.opened()
            for number in (2, 3):
                await asyncio.to_thread(server.append_all, user, "Sent", [letter(number)])
                changed = await reader.state()
                assert changed.keys() == {client.account_id}
                assert changed[client.account_id].keys() == {"Email"}


@pytest.mark.checklist("K03")
async def test_a_report_of_somebody_else_is_for_all_who_see_the_mailbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §7.1: of who shares it, and of others with whom it is shared."""
    monkeypatch.setattr(watcher, "SAFETY_SECONDS", 1e6)
    listener = f"127.0.0.1:{free_port()}"
    with Dovecot(replace(options(tmp_path, [f"http://{listener}/events"]), acl=True)) as server:
        ann, bob, carol = (server.add_user() for _ in range(3))
        server.create(bob, "Team")
        for who in (ann, carol):
            share(server, bob, "Team", who.username, "lrswit")
        configured = settings(
            server,
            tmp_path,
            JMAP_GATEWAY_SERVER__ADMIN_LISTEN=listener,
            JMAP_GATEWAY_EVENTS__SECRET=SECRET,
        )
        async with client_of(configured, ann) as client:
            account_id, _ = (await accounts(client))[bob.username]
            url = (await client.session())["eventSourceUrl"].format(
                types="EmailDelivery", closeafter="no", ping=0
            )
            reader = Reader(await client.http.get(url, headers=client.headers))
            await reader.opened()
            shared = f"shared/{bob.username}/Team"
            for number, (user, mailbox) in enumerate([(bob, "Team"), (carol, shared)]):
                await asyncio.to_thread(server.append_all, user, mailbox, [letter(number)])
                assert (await reader.state()).keys() == {account_id}
