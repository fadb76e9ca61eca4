"""RFC 8621 §4.1.1 on Gmail: a message with several labels is one Email in several mailboxes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.mail.client import Client
from tests.servers.gmail import Gmail, Label, Labelled
from tests.servers.scripted import Scripted
from tests.servers.small import account_of

ALL = b"[Gmail]/All Mail"
THREADS = {1: 1, 2: 1, 3: 3, 4: 4, 5: 5, 6: 6}
INSIDE = {
    b"INBOX": (b"\\HasNoChildren", (1, 3)),
    b"Work": (b"\\HasNoChildren", (3, 1)),
    b"[Gmail]": (b"\\HasChildren \\Noselect", ()),
    ALL: (b"\\All \\HasNoChildren", (4, 3, 2, 1)),
    b"[Gmail]/Bin": (b"\\HasNoChildren \\Trash", (5,)),
    b"[Gmail]/Sent Mail": (b"\\HasNoChildren \\Sent", (2,)),
    b"[Gmail]/Spam": (b"\\HasNoChildren \\Junk", (6,)),
    b"[Gmail]/Starred": (b"\\Flagged \\HasNoChildren", (3,)),
}


def letter(uid: int, number: int) -> Labelled:
    """Message `number`; its header says nothing of its thread."""
    return Labelled(
        uid,
        b"Subject: matter %d\r\nMessage-ID: <%d@x>\r\n\r\nHello.\r\n" % (number, number),
        b"\\Seen" if number % 2 else b"",
        msgid=1278455344230334865 + number,
        thrid=1266894439832287888 + THREADS[number],
    )


def labels(*hidden: bytes) -> dict[bytes, Label]:
    return {
        wire: Label(attributes, tuple(letter(uid, n) for uid, n in enumerate(inside, 10)))
        for wire, (attributes, inside) in INSIDE.items()
        if wire not in hidden
    }


@asynccontextmanager
async def gmail(directory: Path, *hidden: bytes) -> AsyncIterator[Client]:
    async with (
        Scripted(Gmail(labels(*hidden))) as server,
        account_of(server, directory) as account,
    ):
        yield Client(account)


async def seen(client: Client) -> tuple[dict[str, set[str]], dict[str, str], dict[str, str]]:
    """Paths of the mailboxes, the id and the thread of each Email, by Message-ID."""
    emails = await client.emails(properties=["messageId", "mailboxIds", "threadId"])
    paths = {id_: path for path, id_ in (await client.paths()).items()}
    names = {email["id"]: email["messageId"][0] for email in emails}
    assert len(set(names.values())) == len(names), "two Emails are one message"
    return (
        {names[e["id"]]: {paths[id_] for id_ in e["mailboxIds"]} for e in emails},
        {names[e["id"]]: e["id"] for e in emails},
        {names[e["id"]]: e["threadId"] for e in emails},
    )


def expected(*hidden: bytes) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for wire, label in labels(*hidden).items():
        for each in label.letters:
            number = each.msgid - 1278455344230334865
            path = "Inbox" if wire == b"INBOX" else wire.decode()
            found.setdefault(f"{number}@x", set()).add(path)
    return found


@pytest.mark.quirk(15)
@pytest.mark.checklist("N02")
async def test_labels_are_mailboxes_of_one_email(tmp_path: Path) -> None:
    async with gmail(tmp_path) as client:
        mailboxes, _, threads = await seen(client)
        assert mailboxes == expected()
        roles = {m["name"]: m["role"] for m in await client.mailboxes("name", "role")}
        counts = {m["name"]: m["totalEmails"] for m in await client.mailboxes()}
    assert mailboxes["3@x"] == {"Inbox", "Work", ALL.decode(), "[Gmail]/Starred"}
    assert roles == {
        "Inbox": "inbox",
        "Work": None,
        "[Gmail]": None,
        "All Mail": "all",
        "Bin": "trash",
        "Sent Mail": "sent",
        "Spam": "junk",
        "Starred": "flagged",
    }
    assert counts["All Mail"] == 4
    assert len(set(threads.values())) == 5
    assert threads["1@x"] == threads["2@x"], "as the server says, whatever the headers do"


@pytest.mark.quirk(14)
async def test_all_mail_may_be_hidden(tmp_path: Path) -> None:
    """Then only what has a label is there; and it has the same ids."""
    async with gmail(tmp_path) as client:
        _, ids, threads = await seen(client)
    async with gmail(tmp_path, ALL) as client:
        mailboxes, left, left_threads = await seen(client)
        assert "all" not in {m["role"] for m in await client.mailboxes("role")}
    assert mailboxes == expected(ALL)
    assert ids.keys() - left.keys() == {"4@x"}
    assert left.items() <= ids.items()
    assert left_threads.items() <= threads.items()


@pytest.mark.quirk(15)
@pytest.mark.checklist("N02")
async def test_emails_keep_their_ids_when_labels_and_uids_change(tmp_path: Path) -> None:
    """RFC 9051 §2.3.1.1: X-GM-MSGID names the message, whatever its UIDs."""
    known_labels = labels()
    async with (
        Scripted(Gmail(known_labels)) as server,
        account_of(server, tmp_path) as account,
    ):
        client = Client(account)
        _, ids, threads = await seen(client)
        known_labels[b"INBOX"] = Label(b"", (letter(30, 3), letter(31, 5)))
        known_labels[b"Work"] = Label(b"", (letter(1, 6), letter(2, 1)), uidvalidity=2)
        del known_labels[b"[Gmail]/Bin"]
        known_labels[b"Work/Old"] = Label(b"", (letter(1, 3),))
        mailboxes, left, left_threads = await seen(client)
    assert left == ids
    assert left_threads == threads
    assert mailboxes["5@x"] == {"Inbox"}
    assert mailboxes["3@x"] == {"Inbox", "Work/Old", ALL.decode(), "[Gmail]/Starred"}
