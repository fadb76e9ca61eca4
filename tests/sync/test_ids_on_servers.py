"""RFC 8620 §1.2, RFC 8621 §2, §3, §4.1.1: ids on a real server outlive all that IMAP renumbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.sasl import Credentials
from gateway.sync.data import AccountData
from tests.mail.client import connected
from tests.servers.between import between
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import MailServer, Message, User
from tests.servers.scripted import Peer, Received
from tests.sync import raw
from tests.sync.conftest import Gateways
from tests.sync.letters import letter, message_id
from tests.sync.views import email_ids, mailbox_ids, thread_ids, view

GUIDS = ["everything", "maildir", "mdbox"]  # X-GUID
NAMED = [*GUIDS, "cyrus", "cyrus-no-objectid"]  # EMAILID, DIGEST.SHA1
DERIVED = ["no-guids", "cyrus-no-ids"]  # the fingerprint
every_format = pytest.mark.parametrize("server", NAMED, indirect=True)
every_identity = pytest.mark.parametrize("server", [*NAMED, *DERIVED], indirect=True)


def furnish(server: MailServer) -> User:
    user = server.add_user()
    server.create(user, "A", "A/B")
    server.append_all(user, "INBOX", [letter(n) for n in range(1, 6)])
    server.append_all(user, "A/B", [letter(6, 1), letter(7)])
    return user


def ids_of(data: AccountData) -> set[str]:
    """The Emails there are."""
    return {data.emails.id(row) for row in np.flatnonzero(data.emails.visible()).tolist()}


@pytest.mark.checklist("A09", "N02")
@every_identity
async def test_all_ids_are_the_same_after_the_store_is_lost(
    server: MailServer, gateways: Gateways
) -> None:
    user = furnish(server)
    first = await gateways.login(server, user)
    known = await email_ids(first), await thread_ids(first), mailbox_ids(first.data)
    assert len(set(known[0].values())) == 7
    assert len(set(known[1].values())) == 6
    await gateways.close()
    second = await gateways.login(server, user, gateways.store())
    assert (await email_ids(second), await thread_ids(second), mailbox_ids(second.data)) == known
    assert second.id == first.id
    assert second.data.email_state() != first.data.email_state()


@pytest.mark.checklist("A09", "N02", "M01")
@every_identity
async def test_emails_keep_their_ids_when_they_change_mailboxes(
    server: MailServer, gateways: Gateways
) -> None:
    """RFC 8621 §2: MOVE and COPY give new UIDs."""
    user = furnish(server)
    account = await gateways.login(server, user)
    known, threads = await email_ids(account), await thread_ids(account)
    with server.imap(user) as client:
        client.select("INBOX")
        client.uid("MOVE", "1:2", "A")
        client.uid("COPY", "3", "A")
        client.uid("COPY", "4", "A/B")
        client.uid("STORE", "4", "+FLAGS", "(\\Deleted)")
        client.expunge()
    assert await email_ids(account) == known
    assert await thread_ids(account) == threads
    shown = await view(account)
    assert shown == raw.read(server, user)
    assert shown.mails[message_id(3)].mailboxes == {"Inbox", "A"}
    await gateways.close()
    again = await gateways.login(server, user)
    assert (await email_ids(again), await thread_ids(again)) == (known, threads)


@pytest.mark.checklist("A09")
@every_format
async def test_mailboxes_keep_their_ids_when_they_are_renamed(
    server: MailServer, gateways: Gateways
) -> None:
    """RFC 8474 §4: and so do the Emails in them."""
    user = furnish(server)
    account = await gateways.login(server, user)
    emails, mailboxes = await email_ids(account), mailbox_ids(account.data)
    members = account.data.index.members
    with server.imap(user) as client:
        client.rename("A", "Z")
    assert await email_ids(account) == emails
    renamed = mailbox_ids(account.data)
    assert (renamed["Z"], renamed["Z/B"]) == (mailboxes["A"], mailboxes["A/B"])
    assert account.data.index.members == members, "nothing was read again"
    await gateways.close()
    again = await gateways.login(server, user)
    assert await email_ids(again) == emails
    assert mailbox_ids(again.data) == renamed


@pytest.mark.checklist("A09")
async def test_a_mailbox_that_is_made_again_is_another_one(
    server: MailServer, gateways: Gateways
) -> None:
    """RFC 8620 §1.6.3: its messages are gone, and an id is never used again."""
    user = furnish(server)
    account = await gateways.login(server, user)
    emails, before = await email_ids(account), mailbox_ids(account.data)
    with server.imap(user) as client:
        client.delete("A/B")
        client.create("A/B")
    assert await email_ids(account) == {
        n: i for n, i in emails.items() if "r6@" not in n and "r7@" not in n
    }
    after = mailbox_ids(account.data)
    assert after.pop("A/B") not in before.values()
    assert after == {path: id_ for path, id_ in before.items() if path != "A/B"}


@pytest.mark.checklist("A09")
@pytest.mark.parametrize("server", ["no-list-status", "cyrus-no-list-status"], indirect=True)
async def test_a_mailbox_whose_status_is_refused_for_a_moment_keeps_its_id(
    server: MailServer, tmp_path: Path
) -> None:
    """RFC 9051 §6.3.11: and so do the Emails in it; the next look finds what came meanwhile."""
    user = furnish(server)
    refuses = False

    async def answer(peer: Peer, command: Received) -> bool:
        refused = refuses and command.line.startswith((b"STATUS A/B ", b'STATUS "A/B" '))
        if refused:
            await peer.send(b"%s NO [UNAVAILABLE] not now" % command.tag)
        return refused

    async with (
        between(server.imap_port, answer) as proxy,
        connected(server, user, tmp_path, port=proxy.port) as client,
    ):
        account = client.account
        emails, mailboxes = await email_ids(account), mailbox_ids(account.data)
        refuses = True
        server.append_all(user, "A/B", [letter(8)])
        assert await email_ids(account) == emails
        assert mailbox_ids(account.data) == mailboxes
        refuses = False
        assert (await email_ids(account)).items() > emails.items()
        assert mailbox_ids(account.data) == mailboxes


@pytest.mark.checklist("N02")
@pytest.mark.parametrize("server", [*GUIDS, "no-guids"], indirect=True)
async def test_emails_keep_their_ids_when_uidvalidity_changes(
    server: Dovecot, gateways: Gateways
) -> None:
    """RFC 9051 §2.3.1.1: UIDs mean nothing any more; flags are those of the server now."""
    user = furnish(server)
    account = await gateways.login(server, user)
    known = await email_ids(account)
    server.doveadm("mailbox", "update", "-u", user.username, "--uid-validity", "4711", "INBOX")
    with server.imap(user) as client:
        client.select("INBOX")
        client.uid("STORE", "2", "+FLAGS", "($Changed)")
    assert await email_ids(account) == known
    assert await view(account) == raw.read(server, user)
    inbox = account.data.columns(mailbox_ids(account.data)["Inbox"])
    assert inbox is not None
    assert inbox.uidvalidity == 4711


@pytest.mark.checklist("A09", "N02")
@every_identity
async def test_emails_keep_their_ids_when_their_mailbox_is_made_anew(
    server: MailServer, gateways: Gateways
) -> None:
    """RFC 8474 §5.1: as after a restore: another UIDVALIDITY, other UIDs, the same messages."""
    user = furnish(server)
    account = await gateways.login(server, user)
    known, threads, before = (
        await email_ids(account),
        await thread_ids(account),
        mailbox_ids(account.data),
    )
    with server.imap(user) as client:
        client.create("B")
        client.select("A/B")
        client.uid("COPY", "1:*", "B")
        client.unselect()
        client.delete("A/B")
        client.create("A/B")
        client.select("B")
        client.uid("COPY", "2", "A/B")
        client.uid("COPY", "1", "A/B")
        client.unselect()
        client.delete("B")
    assert await email_ids(account) == known
    assert await thread_ids(account) == threads
    assert await view(account) == raw.read(server, user)
    after = mailbox_ids(account.data)
    assert after.pop("A/B") not in before.values()
    assert after.items() <= before.items()


@pytest.mark.checklist("A09", "N02")
@every_identity
async def test_what_is_left_of_equal_messages_keeps_its_id(
    server: MailServer, gateways: Gateways
) -> None:
    """RFC 8621 §4.1.1: equal messages are one Email, whichever of them are left."""
    user = server.add_user()
    server.append_all(user, "INBOX", [letter(1), letter(2), letter(3)])
    with server.imap(user) as client:
        client.select("INBOX")
        client.uid("COPY", "1:2", "INBOX")
    account = await gateways.login(server, user)
    known = await email_ids(account)
    assert len(known) == 3
    with server.imap(user) as client:
        client.select("INBOX")
        client.uid("STORE", "1,5", "+FLAGS", "(\\Deleted)")
        client.expunge()
    assert await email_ids(account) == known
    await gateways.close()
    assert await email_ids(await gateways.login(server, user)) == known


@pytest.mark.checklist("A09")
@pytest.mark.parametrize("server", DERIVED, indirect=True)
async def test_messages_without_a_message_id_keep_their_ids(
    server: MailServer, gateways: Gateways
) -> None:
    """RFC 5322 §3.6.4: two that differ in one letter of their text, and one that is copied."""
    user = server.add_user()
    date = letter(1).internaldate
    notes = [Message(f"Subject: note\r\n\r\n{text}\r\n".encode(), (), date) for text in "ab"]
    server.append_all(user, "INBOX", notes)
    account = await gateways.login(server, user)
    await account.fresh()
    known = ids_of(await account.indexed())
    assert len(known) == 2
    with server.imap(user) as client:
        client.create("A")
        client.select("INBOX")
        client.uid("COPY", "1", "A")
    await account.fresh()
    assert ids_of(await account.indexed()) == known
    await gateways.close()
    again = await gateways.login(server, user)
    await again.fresh()
    assert ids_of(await again.indexed()) == known


@pytest.mark.checklist("A09")
@pytest.mark.parametrize("server", ["no-guids"], indirect=True)
async def test_a_renamed_mailbox_keeps_the_id_that_was_derived_for_it(
    server: MailServer, gateways: Gateways
) -> None:
    """RFC 8621 §2: as long as it is known what it was called, and that it is the same one."""
    user, store = server.add_user(), gateways.store()
    server.create(user, "A", "B")
    server.append_all(user, "A", [letter(n) for n in range(1, 4)])
    account = await gateways.login(server, user, store)
    emails, before = await email_ids(account), mailbox_ids(account.data)
    with server.imap(user) as client:
        client.rename("A", "Z")
    assert await email_ids(account) == emails
    assert mailbox_ids(account.data)["Z"] == before["A"]
    await gateways.close()
    account = await gateways.login(server, user, store)
    assert await email_ids(account) == emails
    assert mailbox_ids(account.data)["Z"] == before["A"], "also when it comes back from the store"
    with server.imap(user) as client:
        client.rename("B", "A")
    await account.fresh()
    after = mailbox_ids(account.data)
    assert len({*after.values()}) == len(after)
    assert after["Z"] == before["A"]


@pytest.mark.checklist("A09")
async def test_a_user_has_one_account_and_another_user_another(
    server: MailServer, gateways: Gateways
) -> None:
    first, second = server.add_user(), server.add_user()
    accounts = gateways.start(server)
    ids = [
        (await accounts.login(Credentials(user.username, user.password), "127.0.0.1")).id
        for user in (first, second, first)
    ]
    assert ids[0] == ids[2] != ids[1]
    assert accounts.get(first.username) is not accounts.get(second.username)


@pytest.mark.checklist("M01")
async def test_replies_join_the_thread_of_what_they_answer(
    server: MailServer, gateways: Gateways
) -> None:
    """RFC 8621 §3: whatever mailbox they are in, and in whatever order they come."""
    user = server.add_user()
    server.append_all(user, "Sent", [letter(2, 1), letter(3, 1)])
    account = await gateways.login(server, user)
    before = await thread_ids(account)
    server.append_all(user, "INBOX", [letter(1), letter(4, 1), letter(5)])
    after = await thread_ids(account)
    assert len({after[message_id(n)] for n in (1, 2, 3, 4)}) == 1
    assert after[message_id(5)] != after[message_id(1)]
    assert {name: after[name] for name in before} == before
