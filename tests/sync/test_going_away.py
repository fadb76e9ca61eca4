"""RFC 9051 §2.3.1.1: mailboxes and messages that go away while the index is being made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.sync.emails import UNKNOWN
from tests.servers.dovecot import Dovecot, User
from tests.sync import raw
from tests.sync.conftest import Gateways
from tests.sync.letters import letter
from tests.sync.views import view

PATIENCE = 20.0


async def test_a_mailbox_deleted_before_it_is_indexed_is_passed_over(
    server: Dovecot, gateways: Gateways
) -> None:
    user = server.add_user()
    server.create(user, "A", "B")
    server.append_all(user, "A", [letter(1)])
    server.append_all(user, "B", [letter(2)])
    account = await gateways.login(server, user)
    await account.fresh()
    with server.imap(user) as client:
        client.delete("A")
    await account.indexed()
    assert await view(account) == raw.read(server, user)


@pytest.mark.parametrize("server", ["maildir"], indirect=True)
async def test_the_mail_of_a_mailbox_that_is_only_a_parent_any_more_is_gone(
    server: Dovecot, gateways: Gateways
) -> None:
    """Dovecot goes on listing such a Maildir as one that can be selected."""
    user = server.add_user()
    server.create(user, "A", "A/B")
    server.append_all(user, "A", [letter(1)])
    server.append_all(user, "A/B", [letter(2)])
    account = await gateways.login(server, user)
    await account.indexed()
    delete(server, user)
    left = [*(await view(account)).mails]
    assert len(left) == 1
    assert await view(account) == await view(await gateways.login(server, user))


def expunge(server: Dovecot, user: User) -> None:
    with server.imap(user) as client:
        client.select("INBOX")
        client.uid("STORE", "1", "+FLAGS.SILENT", "(\\Deleted)")
        client.expunge()


def revalidate(server: Dovecot, user: User) -> None:
    server.doveadm("mailbox", "update", "-u", user.username, "--uid-validity", "4711", "INBOX")


def delete(server: Dovecot, user: User) -> None:
    with server.imap(user) as client:
        client.delete("A")


@pytest.mark.checklist("N22")
@pytest.mark.parametrize("change", [expunge, revalidate, delete])
async def test_attachments_are_known_of_all_that_is_left(
    change: Callable[[Dovecot, User], None], server: Dovecot, gateways: Gateways
) -> None:
    user = server.add_user()
    server.create(user, "A")
    server.append_all(user, "A", [letter(1), letter(2)])
    server.append_all(user, "INBOX", [letter(3), letter(4)])
    account = await gateways.login(server, user)
    await account.fresh()
    await account.indexed()
    await account.attachments_known()
    async with account.pool.connection(b"Sent"):
        pass  # so that no connection has one of the mailboxes open
    change(server, user)
    emails = account.data.emails
    emails.attachment[:] = UNKNOWN
    async with asyncio.timeout(PATIENCE):
        await account.attachments_known()
    assert (emails.attachment[: emails.size][emails.visible()] != UNKNOWN).all()
