"""RFC 5258, RFC 5819: a look at one account of a user asks for no STATUS of what others share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.imap.commands.list import Listed, list_mailboxes
from gateway.sync import checker
from tests.mail.conftest import Connect
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import expect_ok


@pytest.fixture
def statuses(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The mailboxes of which each look has asked for the STATUS."""
    looks: list[set[str]] = []

    async def recorded(*arguments: Any) -> list[Listed]:
        listed = await list_mailboxes(*arguments)
        looks.append({entry.name for entry in listed if entry.status is not None})
        return listed

    monkeypatch.setattr(checker, "list_mailboxes", recorded)
    return looks


@pytest.mark.parametrize("without", [(), ("LIST-STATUS",), ("LIST-EXTENDED",)])
async def test_looks_are_at_one_account(
    without: tuple[str, ...],
    connect: Connect,
    start_dovecot: Callable[..., Dovecot],
    statuses: list[set[str]],
) -> None:
    """Whatever LIST can do, and however mailboxes come and go meanwhile."""
    server = start_dovecot(acl=True, without=without)
    ann, bob = server.add_user(), server.add_user()
    server.create(bob, "Team", "Team/A")
    with server.imap(bob) as imap:
        for name in ("Team", "Team/A"):
            expect_ok(imap.setacl(name, ann.username, "lr"))
    server.create(ann, "Work", "50%", "INBOX/Below")
    client = await connect(server, ann)
    await client.mailboxes()
    theirs = (await client.shared())[bob.username]
    del statuses[:]
    assert {"Work", "50%", "Inbox/Below"} <= set(await client.paths())
    assert not [name for look in statuses for name in look if name.startswith("shared")]
    server.create(ann, "Work/New/Deep", "Another/Deep")
    assert {"Work/New/Deep", "Another/Deep"} <= set(await client.paths())
    assert not [name for look in statuses for name in look if name.startswith("shared")]
    del statuses[:]
    assert set(await theirs.paths()) == {"Team", "Team/A"}
    shared = f"shared/{bob.username}"
    assert {*statuses[-1]} == {f"{shared}/Team", f"{shared}/Team/A"}
