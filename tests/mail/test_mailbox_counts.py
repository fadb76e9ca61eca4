"""RFC 8621 §2: counts of Mailboxes, which are what Email/query counts, and when they move."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mail.client import Client
from tests.mail.messages import mail, reply
from tests.servers.dovecot import Dovecot, Message, User


async def check_counts(client: Client) -> dict[str, tuple[int, int, int, int]]:
    """Counts of all Mailboxes by path, which must be what Email/query counts."""
    await client.query()  # waits until everything is indexed
    paths = {id_: path for path, id_ in (await client.paths()).items()}
    counts = {}
    for mailbox in await client.mailboxes():
        inside: dict[str, Any] = {"filter": {"inMailbox": mailbox["id"]}, "calculateTotal": True}
        emails = await client.call("Email/query", **inside)
        threads = await client.call("Email/query", **inside, collapseThreads=True)
        assert mailbox["totalEmails"] == emails["total"] == len(emails["ids"])
        assert mailbox["totalThreads"] == threads["total"] == len(threads["ids"])
        counts[paths[mailbox["id"]]] = (
            mailbox["totalEmails"],
            mailbox["unreadEmails"],
            mailbox["totalThreads"],
            mailbox["unreadThreads"],
        )
    return counts


@pytest.mark.checklist("L06", "L07")
async def test_unread_is_what_is_neither_seen_nor_a_draft(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    r"""RFC 8621 §2: unreadEmails; what is \Deleted counts nowhere."""
    flags = ((), ("\\Seen",), ("\\Draft",), ("\\Seen", "\\Draft"), ("\\Flagged",), ("\\Deleted",))
    dovecot.append_all(mailuser, "INBOX", [Message(mail(n), f) for n, f in enumerate(flags)])
    assert (await check_counts(client))["Inbox"] == (5, 2, 5, 2)


@pytest.mark.checklist("L06", "L07")
async def test_thread_is_unread_in_every_mailbox_when_one_email_of_it_is(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §2, unreadThreads: the unread Email need not be in this Mailbox."""
    dovecot.append(mailuser, "INBOX", mail("a"), ["\\Seen"])
    dovecot.append(mailuser, "Archive", reply("b", "a"))
    dovecot.append(mailuser, "Archive", mail("c"), ["\\Seen"])
    counts = await check_counts(client)
    assert counts["Inbox"] == (1, 0, 1, 1)
    assert counts["Archive"] == (2, 1, 2, 1)


@pytest.mark.checklist("L06")
async def test_trash_and_the_rest_ignore_each_others_unread_emails(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §2, unreadThreads: the special rule for the Trash, both ways."""
    dovecot.append(mailuser, "INBOX", mail("a"), ["\\Seen"])
    dovecot.append(mailuser, "Trash", reply("b", "a"))
    dovecot.append(mailuser, "INBOX", mail("c"))
    dovecot.append(mailuser, "Trash", reply("d", "c"), ["\\Seen"])
    # In the Trash and elsewhere: that counts for both.
    dovecot.append(mailuser, "Archive", mail("e"))
    with dovecot.imap(mailuser) as imap:
        imap.select("Archive")
        imap.uid("COPY", "1", "Trash")
    counts = await check_counts(client)
    assert counts["Inbox"] == (2, 1, 2, 1)
    assert counts["Trash"] == (3, 2, 3, 2)
    assert counts["Archive"] == (1, 1, 1, 1)


@pytest.mark.checklist("L06", "L07", "D08")
async def test_counts_and_state_follow_every_change(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §2: counts after delivery, flags, expunge and undelete; each is a new state."""
    dovecot.append_all(mailuser, "INBOX", [Message(mail(n)) for n in range(3)])
    states: list[str] = []

    async def inbox() -> tuple[int, int, int, int]:
        found = (await check_counts(client))["Inbox"]
        states.append((await client.call("Mailbox/get", ids=[]))["state"])
        return found

    assert await inbox() == (3, 3, 3, 3)
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("STORE", "1", "+FLAGS", "(\\Seen)")
        assert await inbox() == (3, 2, 3, 2)
        imap.uid("STORE", "2", "+FLAGS", "(\\Deleted)")
        assert await inbox() == (2, 1, 2, 1)
        imap.uid("STORE", "2", "-FLAGS", "(\\Deleted)")
        imap.uid("STORE", "2:3", "+FLAGS", "(\\Seen)")
        assert await inbox() == (3, 0, 3, 0)
        imap.uid("STORE", "3", "+FLAGS", "(\\Deleted)")
        imap.expunge()
        assert await inbox() == (2, 0, 2, 0)
    dovecot.deliver(mailuser, mail("new"))
    assert await inbox() == (3, 1, 3, 1)
    assert len(set(states)) == len(states)


@pytest.mark.checklist("D08")
async def test_state_stays_while_nothing_a_mailbox_shows_changes(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §5.1: a flag that no count knows of moves the state of Email only."""
    dovecot.append(mailuser, "INBOX", mail(), ["\\Seen"])
    await client.query()
    before = await client.request(("Mailbox/get", {"ids": []}), ("Email/get", {"ids": []}))
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("STORE", "1", "+FLAGS", "(\\Flagged)")
    after = await client.request(("Mailbox/get", {"ids": []}), ("Email/get", {"ids": []}))
    assert after[0][1]["state"] == before[0][1]["state"]
    assert after[1][1]["state"] != before[1][1]["state"]


@pytest.mark.checklist("L07", "P15")
async def test_message_that_is_twice_in_a_mailbox_counts_once(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.1.1: an Email is in a Mailbox or not."""
    dovecot.append(mailuser, "INBOX", mail())
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("COPY", "1", "INBOX")
        imap.uid("COPY", "1", "Archive")
        assert imap.select("INBOX")[1] == [b"2"]
    counts = await check_counts(client)
    assert counts["Inbox"] == counts["Archive"] == (1, 1, 1, 1)
