"""RFC 8620 §1.6.2, RFC 7162: what another IMAP client does is seen by the next look."""

from __future__ import annotations

import imaplib
from collections.abc import Callable

import pytest

from gateway.sync.account import Account
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import MailServer, Message, User, quoted
from tests.sync import raw
from tests.sync.conftest import STEPS, Gateways
from tests.sync.letters import letter, message_id
from tests.sync.views import View, mailbox_ids, view

every_step = pytest.mark.parametrize("server", STEPS, indirect=True)
# What makes messages, and what makes mailboxes, easy to follow.
MESSAGE_STEPS = (
    *("everything", "no-qresync", "no-condstore", "no-esearch", "no-guids"),
    *("cyrus", "cyrus-no-condstore"),
)
MAILBOX_STEPS = (
    *("everything", "no-list-status", "no-list-extended", "no-guids"),
    *("cyrus", "cyrus-no-ids"),
)
Change = Callable[[imaplib.IMAP4], None]


def furnish(server: MailServer) -> User:
    """A user with some mail: a thread over three mailboxes, copies, flags of all kinds."""
    user = server.add_user()
    with server.imap(user) as client:
        for mailbox in ("A", "A/B", "C"):
            ok(client.create(mailbox))
        ok(client.subscribe("A"))
        append(client, "INBOX", letter(1))
        append(client, "INBOX", letter(2, 1, "\\Seen"))
        append(client, "INBOX", letter(3, None, "\\Flagged", "$Work"))
        append(client, "INBOX", letter(4))
        append(client, "A", letter(5, 1))
        append(client, "A", letter(6, None, "\\Seen", "\\Answered"))
        append(client, "A/B", letter(7, None, "\\Draft"))
        append(client, "Trash", letter(8, 3))
    return user


def ok(answer: tuple[str, object]) -> None:
    assert answer[0] == "OK", answer


def select(client: imaplib.IMAP4, mailbox: str) -> None:
    ok(client.select(quoted(mailbox)))


def append(client: imaplib.IMAP4, mailbox: str, message: Message) -> None:
    assert message.internaldate
    date = imaplib.Time2Internaldate(message.internaldate)
    ok(client.append(quoted(mailbox), f"({' '.join(message.flags)})", date, message.octets))


def store(client: imaplib.IMAP4, uid: str, what: str, flags: str, mailbox: str = "INBOX") -> None:
    select(client, mailbox)
    ok(client.uid("STORE", uid, what, f"({flags})"))


def expunge(client: imaplib.IMAP4, uid: str = "2", mailbox: str = "INBOX") -> None:
    store(client, uid, "+FLAGS.SILENT", "\\Deleted", mailbox)
    ok(client.expunge())


def expunge_and_append(client: imaplib.IMAP4) -> None:
    expunge(client)
    append(client, "INBOX", letter(20))


def empty(client: imaplib.IMAP4) -> None:
    expunge(client, "1:*", "A")


def copy(client: imaplib.IMAP4) -> None:
    select(client, "INBOX")
    ok(client.uid("COPY", "1:3", quoted("A")))


def copy_in_place(client: imaplib.IMAP4) -> None:
    select(client, "A")
    ok(client.uid("COPY", "2", quoted("A")))
    ok(client.uid("STORE", "2", "-FLAGS", "(\\Seen)"))


def move(client: imaplib.IMAP4) -> None:
    select(client, "INBOX")
    ok(client.uid("MOVE", "2:3", quoted("A/B")))


def move_to_trash(client: imaplib.IMAP4) -> None:
    select(client, "INBOX")
    ok(client.uid("MOVE", "1", "Trash"))


def create(client: imaplib.IMAP4) -> None:
    ok(client.create("N/one"))
    append(client, "N/one", letter(21))


def rename(client: imaplib.IMAP4) -> None:
    ok(client.rename("A", "Z"))
    append(client, "Z/B", letter(22))


def rename_below(client: imaplib.IMAP4) -> None:
    ok(client.rename("A/B", "B"))


def delete(client: imaplib.IMAP4) -> None:
    ok(client.delete("A/B"))


def delete_parent(client: imaplib.IMAP4) -> None:
    ok(client.delete("A"))


def recreate(client: imaplib.IMAP4) -> None:
    ok(client.delete("A/B"))
    ok(client.create("A/B"))
    append(client, "A/B", letter(23))


def exchange_names(client: imaplib.IMAP4) -> None:
    for old, new in (("A/B", "x"), ("C", "A/B"), ("x", "C")):
        ok(client.rename(old, new))


def unsubscribe(client: imaplib.IMAP4) -> None:
    ok(client.unsubscribe("A"))


MESSAGE_CHANGES: dict[str, Change] = {
    "mail arrives": lambda c: append(c, "INBOX", letter(20)),
    "mail arrives in an empty mailbox": lambda c: append(c, "Sent", letter(20, None, "\\Seen")),
    "mail arrives as deleted": lambda c: append(c, "A", letter(20, None, "\\Deleted")),
    "a message is read": lambda c: store(c, "1", "+FLAGS", "\\Seen"),
    "a message is unread": lambda c: store(c, "2", "-FLAGS", "\\Seen"),
    "a flag that changes no count": lambda c: store(c, "2", "+FLAGS", "\\Flagged"),
    "a keyword is set": lambda c: store(c, "1:4", "+FLAGS", "$Forwarded Custom"),
    "a keyword is cleared": lambda c: store(c, "3", "-FLAGS", "$Work"),
    "all flags are replaced": lambda c: store(c, "3", "FLAGS", "\\Draft other"),
    "a message is deleted": lambda c: store(c, "3", "+FLAGS", "\\Deleted"),
    "a message is expunged": expunge,
    "one is expunged and one arrives": expunge_and_append,
    "a mailbox is emptied": empty,
    "messages are copied": copy,
    "a message is copied in its mailbox": copy_in_place,
    "messages are moved": move,
    "a message is moved to the trash": move_to_trash,
}
MAILBOX_CHANGES: dict[str, Change] = {
    "a mailbox is created": create,
    "a mailbox is renamed with its children": rename,
    "a mailbox is moved to the root": rename_below,
    "a mailbox is deleted": delete,
    "a parent is deleted": delete_parent,
    "a mailbox is deleted and made again": recreate,
    "mailboxes exchange their names": exchange_names,
    "a mailbox is unsubscribed": unsubscribe,
    "a mailbox is subscribed": lambda c: ok(c.subscribe("A/B")),
}


def by_ids(shown: View, account: Account) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Ids of the mailboxes and the keywords of each Email."""
    known = mailbox_ids(account.data)
    return {
        name: (frozenset(known[path] for path in mail.mailboxes), mail.keywords)
        for name, mail in shown.mails.items()
    }


async def check(change: Change, server: MailServer, gateways: Gateways) -> None:
    """Make a change with a client of its own, and see it, together with the states that tell."""
    user = furnish(server)
    account = await gateways.login(server, user)
    before = await view(account)
    assert before == raw.read(server, user)
    emails = by_ids(before, account)
    states = account.data.email_state(), account.data.mailbox_state()
    with server.imap(user) as client:
        change(client)
    after = await view(account)
    assert after == raw.read(server, user)
    now = account.data.email_state(), account.data.mailbox_state()
    assert (by_ids(after, account) == emails) == (states[0] == now[0])
    mailboxes_differ = after.counts != before.counts or after.subscribed != before.subscribed
    assert not mailboxes_differ or states[1] != now[1]
    assert await view(account) == after
    assert (account.data.email_state(), account.data.mailbox_state()) == now, "nothing is new"


@pytest.mark.checklist("D08", "L06", "N01", "N03", "N04")
@pytest.mark.parametrize("server", MESSAGE_STEPS, indirect=True)
@pytest.mark.parametrize("change", MESSAGE_CHANGES.values(), ids=[*MESSAGE_CHANGES])
async def test_a_change_of_messages_is_seen(
    change: Change, server: MailServer, gateways: Gateways
) -> None:
    await check(change, server, gateways)


@pytest.mark.checklist("D08", "L06")
@pytest.mark.parametrize("server", MAILBOX_STEPS, indirect=True)
@pytest.mark.parametrize("change", MAILBOX_CHANGES.values(), ids=[*MAILBOX_CHANGES])
async def test_a_change_of_mailboxes_is_seen(
    change: Change, server: MailServer, gateways: Gateways
) -> None:
    if change is delete_parent and isinstance(server, Cyrus):
        pytest.skip("Cyrus keeps the parent of a mailbox")
    await check(change, server, gateways)


@pytest.mark.checklist("N03")
@every_step
async def test_a_deleted_message_comes_back_when_the_flag_is_cleared(
    server: MailServer, gateways: Gateways
) -> None:
    """RFC 8621 §4.1.1: until it is expunged it does not exist, and is the same Email after."""
    user = furnish(server)
    account = await gateways.login(server, user)
    before = await view(account)
    with server.imap(user) as client:
        store(client, "1", "+FLAGS", "\\Deleted")
        assert message_id(1) not in (await view(account)).mails
        store(client, "1", "-FLAGS", "\\Deleted")
        assert await view(account) == before


async def test_mail_that_is_delivered_is_seen(server: Dovecot, gateways: Gateways) -> None:
    """RFC 2033: as from a mail transfer agent."""
    user = furnish(server)
    account = await gateways.login(server, user)
    await view(account)
    server.deliver(user, letter(30).octets)
    assert await view(account) == raw.read(server, user)


@every_step
async def test_many_changes_at_once_are_seen(server: MailServer, gateways: Gateways) -> None:
    user = furnish(server)
    account = await gateways.login(server, user)
    await view(account)
    with server.imap(user) as client:
        for change in (copy, move_to_trash, expunge_and_append, create, empty, delete):
            change(client)
    assert await view(account) == raw.read(server, user)
