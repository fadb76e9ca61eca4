"""RFC 8620 §3.3, §5.3: creation ids of one type in calls of another, as mail clients send them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mail.client import Client
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User

DRAFT = {
    "keywords": {"$draft": True, "$seen": True},
    "subject": "second version",
    "bodyValues": {"1": {"value": "Text."}},
    "textBody": [{"partId": "1", "type": "text/plain"}],
}


async def role(client: Client, wanted: str) -> str:
    """The id of the Mailbox that has a role."""
    (found,) = [m["id"] for m in await client.mailboxes("role") if m["role"] == wanted]
    assert isinstance(found, str)
    return found


@pytest.mark.checklist("F12", "F13")
async def test_emails_are_archived_in_mailboxes_made_by_the_same_request(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """A Mailbox for the month in one for the year, and Emails moved there."""
    for number in range(3):
        dovecot.append(mailuser, "INBOX", b"Subject: %d\r\n\r\n" % number)
    inbox, archive = await role(client, "inbox"), await role(client, "archive")
    first, second, third = await client.query(sort=[{"property": "receivedAt"}])
    year, month = {"name": "2026", "parentId": archive}, {"name": "11", "parentId": "#year"}
    move = {f"mailboxIds/{inbox}": None, "mailboxIds/#month": True}
    (_, made), (_, moved), (_, got) = await client.request(
        ("Mailbox/set", {"create": {"month": month, "year": year}}),
        (
            "Email/set",
            {
                "update": {
                    first: move,
                    second: {"mailboxIds": {"#month": True, inbox: True}},
                    third: {"mailboxIds/#week": True},
                }
            },
        ),
        ("Email/get", {"ids": [first, second, third], "properties": ["mailboxIds"]}),
    )
    created = made["created"]["month"]["id"]
    assert (await client.paths())["Archive/2026/11"] == created
    assert moved["updated"] == {first: None, second: None}
    assert moved["notUpdated"][third]["properties"] == ["mailboxIds"]
    assert [email["mailboxIds"] for email in got["list"]] == [
        {created: True},
        {created: True, inbox: True},
        {inbox: True},
    ]


@pytest.mark.checklist("F12", "C26")
async def test_draft_is_replaced_in_a_mailbox_made_by_the_same_request(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """The new version is created, and what a query finds of the old one destroyed."""
    dovecot.append(mailuser, "INBOX", b"Subject: first version\r\n\r\n")
    (old,) = await client.query()
    create: dict[str, Any] = {"draft": DRAFT | {"mailboxIds": {"#folder": True}}}
    (_, made), _, (_, drafted), (_, got) = await client.request(
        ("Mailbox/set", {"create": {"folder": {"name": "Unfinished"}}}),
        ("Email/query", {"filter": {"subject": "first"}}),
        (
            "Email/set",
            {
                "create": create,
                "#destroy": {"resultOf": "1", "name": "Email/query", "path": "/ids"},
                "update": {"#draft": {"keywords/$flagged": True}},
            },
        ),
        (
            "Email/get",
            {
                "#ids": {"resultOf": "2", "name": "Email/set", "path": "/created/draft/id"},
                "properties": ["subject"],
            },
        ),
    )
    assert got["type"] == "invalidArguments"  # a single id is no list
    draft = drafted["created"]["draft"]["id"]
    assert drafted["updated"] == {draft: None}
    assert drafted["destroyed"] == [old]
    (email,) = await client.emails(properties=["subject", "mailboxIds", "keywords"])
    assert email == {
        "id": draft,
        "subject": "second version",
        "mailboxIds": {made["created"]["folder"]["id"]: True},
        "keywords": {"$draft": True, "$seen": True, "$flagged": True},
    }
