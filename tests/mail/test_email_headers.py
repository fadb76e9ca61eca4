"""RFC 8621 §4.1.2-4.1.3: header fields of an Email, next to messages written by hand."""

from __future__ import annotations

import pytest

from tests.mail.client import Client, Refused
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


LETTER = crlf("""
    Received: from a.example.test by b.example.test; Fri, 1 Mar 2024 09:08:07 +0000
    Received: from b.example.test by c.example.test; Fri, 1 Mar 2024 09:08:09 +0000
    Message-ID: <1@example.test>
    From: Jane <jane@example.test>
    To: Team: a@x.test;
    SUBJECT: Hello
    List-Unsubscribe: <mailto:leave@example.test>, <https://example.test/leave>
    X-Odd(name): odd
    Content-Type: multipart/mixed; boundary=b

    --b
    Content-Type: text/plain; charset=utf-8
    X-Part: first

    Hello.
    --b
    Content-Type: multipart/alternative; boundary=c
    X-Part: second

    --c
    Content-Type: text/html
    X-Part: third

    <p>Hello.</p>
    --c--
    --b--
    """)


@pytest.mark.checklist("N13", "N14", "N24")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("header:list-unsubscribe:asURLs", ["mailto:leave@example.test", "https://example.test/leave"]),
        ("header:SUBJECT", " Hello"),
        ("header:Subject:asText:all", ["Hello"]),
        ("header:to:asGroupedAddresses", [{"name": "Team", "addresses": [address("a@x.test")]}]),
        ("header:From:asAddresses", [address("jane@example.test", "Jane")]),
        ("header:message-id:asMessageIds", ["1@example.test"]),
        ("header:X-Odd(name)", " odd"),
        ("header:X-None:all", []),
        ("header:X-None", None),
    ],
)  # fmt: skip
async def test_header_property(
    client: Client, dovecot: Dovecot, mailuser: User, name: str, value: object
) -> None:
    """RFC 8621 §4.1.3: of any field, whether the index keeps it or not, in any form it has."""
    dovecot.append(mailuser, "INBOX", LETTER)
    email = await client.email(name)
    assert {n: v for n, v in email.items() if n != "id"} == {name: value}


@pytest.mark.checklist("N13", "N15")
async def test_header_properties_together(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §4.1.3: convenience properties, kept fields, others, and all of them at once."""
    dovecot.append(mailuser, "INBOX", LETTER)
    email = await client.email("subject", "header:Subject", "header:Received:all")
    received = [
        " from a.example.test by b.example.test; Fri, 1 Mar 2024 09:08:07 +0000",
        " from b.example.test by c.example.test; Fri, 1 Mar 2024 09:08:09 +0000",
    ]
    assert (email["subject"], email["header:Subject"]) == ("Hello", " Hello")
    assert email["header:Received:all"] == received
    whole = await client.email("subject", "headers", "header:subject:asText", "from")
    assert (whole["subject"], whole["header:subject:asText"]) == ("Hello", "Hello")
    assert whole["from"] == [address("jane@example.test", "Jane")]
    names = ["Received", "Received", "Message-ID", "From", "To", "SUBJECT", "List-Unsubscribe"]
    assert [f["name"] for f in whole["headers"]] == [*names, "X-Odd(name)", "Content-Type"]
    assert [f["value"] for f in whole["headers"]][:2] == received


@pytest.mark.checklist("N12", "O02")
@pytest.mark.parametrize("name", ["header:From:asDate", "header:Received:asText", "header:", "x"])
async def test_a_form_that_is_not_of_the_field_is_refused(
    client: Client, dovecot: Dovecot, mailuser: User, name: str
) -> None:
    """RFC 8621 §4.2: of the Email as of its parts."""
    dovecot.append(mailuser, "INBOX", LETTER)
    for arguments in ({"properties": [name]}, {"bodyProperties": [name]}):
        with pytest.raises(Refused) as refused:
            await client.call("Email/get", ids=await client.query(), **arguments)
        assert refused.value.type == "invalidArguments"


@pytest.mark.checklist("N17", "O02", "N15")
async def test_header_fields_of_parts(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §4.1.4: of each part its own, of the root those of the message."""
    dovecot.append(mailuser, "INBOX", LETTER)
    asked = ["partId", "headers", "header:X-PART:asText", "header:Subject:asText"]
    email = await client.email("bodyStructure", "textBody", bodyProperties=asked)
    root = email["bodyStructure"]
    assert root["header:Subject:asText"] == "Hello"
    assert [f["name"] for f in root["headers"]][-1] == "Content-Type"
    first, second = root["subParts"]
    assert [f["name"] for f in first["headers"]] == ["Content-Type", "X-Part"]
    assert first["header:X-PART:asText"] == "first"
    assert second["header:X-PART:asText"] == "second"
    assert second["subParts"][0]["header:X-PART:asText"] == "third"
    assert second["subParts"][0]["header:Subject:asText"] is None
    del first["subParts"]
    assert email["textBody"][0] == first


@pytest.mark.checklist("N17")
async def test_header_fields_of_the_only_part_are_those_of_the_message(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.1.4: a message that is no multipart is one part."""
    dovecot.append(mailuser, "INBOX", crlf("Subject: a\nX-Part: only\n\nHello.\n"))
    email = await client.email("textBody", bodyProperties=["partId", "header:X-Part:asText"])
    assert email["textBody"] == [{"partId": "1", "header:X-Part:asText": "only"}]
