"""RFC 8621 §4.1.2-4.1.3: header fields of an Email, next to messages written by hand."""

from __future__ import annotations

import pytest

from tests.mail.client import Client
from tests.mail.messages import crlf
from tests.servers.dovecot import Dovecot, User

HEADER_PROPERTIES = [
    *("messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo"),
    *("subject", "sentAt"),
]


def address(email: str, name: str | None = None) -> dict[str, str | None]:
    return {"name": name, "email": email}


@pytest.mark.checklist("N16")
async def test_plain_header_fields(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §4.1.3: the eleven convenience properties, next to a message written by hand."""
    octets = crlf("""
        Return-Path: <bounce@example.test>
        Message-ID: <new.1@example.test>
        In-Reply-To: <old.1@example.test>
        References: <older@example.test> <old.1@example.test>
        Sender: Secretary <office@example.test>
        From: "Doe, Jane" <jane@example.test>, John <john@example.test>
        To: joe@example.test, "Mary \\"M\\" Poe" <mary@example.test>
        Cc: Team: a@example.test, "B" <b@example.test>;, last@example.test
        Bcc: secret@example.test
        Reply-To: <replies@example.test> (not me)
        Subject: A subject
         on two lines
        Date: Fri, 1 Mar 2024 09:08:07 +0530

        Hello.
        """)
    dovecot.append(mailuser, "INBOX", octets)
    email = await client.email(*HEADER_PROPERTIES)
    del email["id"]
    assert email == {
        "messageId": ["new.1@example.test"],
        "inReplyTo": ["old.1@example.test"],
        "references": ["older@example.test", "old.1@example.test"],
        "sender": [address("office@example.test", "Secretary")],
        "from": [address("jane@example.test", "Doe, Jane"), address("john@example.test", "John")],
        "to": [address("joe@example.test"), address("mary@example.test", 'Mary "M" Poe')],
        "cc": [
            address("a@example.test"),
            address("b@example.test", "B"),
            address("last@example.test"),
        ],
        "bcc": [address("secret@example.test")],
        "replyTo": [address("replies@example.test", "not me")],
        "subject": "A subject on two lines",
        "sentAt": "2024-03-01T09:08:07+05:30",
    }


@pytest.mark.checklist("N16")
async def test_encoded_header_fields(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §4.1.2.2-3, RFC 2047: encoded-words, also split within a character's octets."""
    octets = crlf("""
        From: =?utf-8?Q?J=C3=BCrgen_M=C3=BCller?= <juergen@example.test>
        To: =?ISO-8859-1?B?Suly9G1l?= <jerome@example.test>,
         =?utf-8?q?Gr=C3=BC=C3=9Fe?=: =?utf-8?b?5bGx55Sw?= <yamada@example.test>;
        Subject: =?utf-8?b?5pel5pys?= =?utf-8?b?6Kqe?= and =?us-ascii?q?plain?=
        Date: 1 Mar 24 09:08 EST
        Message-ID: <1@example.test>

        Hello.
        """)
    dovecot.append(mailuser, "INBOX", octets)
    email = await client.email("from", "to", "subject", "sentAt")
    assert email["from"] == [address("juergen@example.test", "Jürgen Müller")]
    assert email["to"] == [
        address("jerome@example.test", "Jérôme"),
        address("yamada@example.test", "山田"),
    ]
    assert email["subject"] == "日本語 and plain"
    assert email["sentAt"] == "2024-03-01T09:08:00-05:00"


@pytest.mark.checklist("N16")
async def test_header_fields_in_utf8(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 6532: an internationalised message."""
    octets = crlf("""
        From: Жанна <жанна@пример.испытание>
        Subject: Привет, 世界
        Message-ID: <1@example.test>

        Hello.
        """)
    dovecot.append(mailuser, "INBOX", octets)
    email = await client.email("from", "subject")
    assert email["from"] == [address("жанна@пример.испытание", "Жанна")]
    assert email["subject"] == "Привет, 世界"


@pytest.mark.checklist("N16")
async def test_header_fields_that_are_missing_or_broken(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.1.3: null where there is none; best effort; the last of several instances."""
    octets = (
        b"Subject: First\r\nSubject: Last \xff\xfe\r\nDate: yesterday\r\nTo: \r\n"
        b"From: broken <not closed\r\n\r\nHello.\r\n"
    )
    dovecot.append(mailuser, "INBOX", octets)
    email = await client.email(*HEADER_PROPERTIES)
    assert email["from"][0]["email"].startswith("not closed")
    assert email["subject"].startswith("Last ")
    assert email["to"] == []
    rest = set(HEADER_PROPERTIES) - {"from", "subject", "to"}
    assert {name: email[name] for name in rest} == dict.fromkeys(rest)


async def test_message_without_any_header_field(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.1.3: everything is null, and the body is there."""
    dovecot.append(mailuser, "INBOX", b"\r\nOnly a body.\r\n")
    email = await client.email(fetchTextBodyValues=True)
    assert {email[name] for name in HEADER_PROPERTIES} == {None}
    assert [value["value"] for value in email["bodyValues"].values()] == ["Only a body.\n"]
