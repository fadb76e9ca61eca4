"""RFC 8621 §4.9: Email/parse, of messages inside of others and of Emails."""

from __future__ import annotations

from base64 import encodebytes
from typing import Any

import pytest

from tests.mail.client import Client, Refused
from tests.mail.messages import crlf
from tests.servers.dovecot import Dovecot, User

INNERMOST = crlf("""
    Message-ID: <innermost@example.test>
    Subject: innermost

    The end.
    """)
INSIDE = (
    crlf("""
        Message-ID: <inside@example.test>
        In-Reply-To: <before@example.test>
        From: =?utf-8?q?Jos=C3=A9?= <jose@example.test>
        To: jane@example.test
        Subject: inside
        Date: Fri, 1 Mar 2024 09:08:07 +0100
        X-Thing: one
        X-Thing: two
        Content-Type: multipart/mixed; boundary=inner

        --inner
        Content-Type: multipart/alternative; boundary=choice

        --choice
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: quoted-printable

        Caf=C3=A9.
        --choice
        Content-Type: text/html; charset=utf-8

        <p>Caf&eacute;</p>
        --choice--
        --inner
        Content-Type: application/pdf; name=a.pdf
        Content-Disposition: attachment
        Content-Transfer-Encoding: base64

        JVBERi0=
        --inner
        Content-Type: message/rfc822
        Content-Transfer-Encoding: base64

        """)
    + encodebytes(INNERMOST).replace(b"\n", b"\r\n")
    + b"--inner--\r\n"
)
DEFAULT_PROPERTIES = {
    *("messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo"),
    *("subject", "sentAt", "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody"),
    "attachments",
}


def enclosing(octets: bytes, *fields: str) -> bytes:
    head = "\n".join(("Subject: outside", "Content-Type: multipart/mixed; boundary=outer", "", ""))
    part = "\n".join(("--outer", "Content-Type: message/rfc822", *fields, "", ""))
    return crlf(head) + crlf(part) + octets + b"\r\n--outer--\r\n"


async def attached(client: Client) -> str:
    """The blobId of the only attachment of the only Email."""
    email = await client.email("attachments")
    (attachment,) = email["attachments"]
    blob_id: str = attachment["blobId"]
    return blob_id


async def parse(client: Client, blob_id: str, *properties: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call(
        "Email/parse", blobIds=[blob_id], properties=list(properties) or None, **arguments
    )
    assert (answer["notFound"], answer["notParsable"]) == (None, None)
    email: dict[str, Any] = answer["parsed"][blob_id]
    return email


@pytest.mark.checklist("O06", "O07")
@pytest.mark.parametrize("encoding", ["8bit", "base64"])
async def test_an_attached_message_is_an_email(
    client: Client, dovecot: Dovecot, mailuser: User, encoding: str
) -> None:
    """RFC 8621 §4.9: also one that is encoded, as RFC 2045 forbids and mail programs do."""
    octets = encodebytes(INSIDE).replace(b"\n", b"\r\n") if encoding == "base64" else INSIDE
    letter = enclosing(octets, f"Content-Transfer-Encoding: {encoding}")
    dovecot.append(mailuser, "INBOX", letter)
    blob_id = await attached(client)
    email = await parse(client, blob_id, fetchAllBodyValues=True)
    assert email.keys() == DEFAULT_PROPERTIES
    assert email["messageId"] == ["inside@example.test"]
    assert email["inReplyTo"] == ["before@example.test"]
    assert email["from"] == [{"name": "José", "email": "jose@example.test"}]
    assert (email["subject"], email["sentAt"]) == ("inside", "2024-03-01T09:08:07+01:00")
    assert (email["hasAttachment"], email["preview"]) == (True, "Café.")
    assert email["bodyValues"]["1.1"] == {
        "value": "Café.",
        "isEncodingProblem": False,
        "isTruncated": False,
    }
    assert [part["partId"] for part in email["textBody"]] == ["1.1"]
    assert [part["partId"] for part in email["htmlBody"]] == ["1.2"]
    assert [part["type"] for part in email["attachments"]] == ["application/pdf", "message/rfc822"]
    # Its parts can be had, and what is inside of those.
    pdf, innermost = email["attachments"]
    assert (pdf["name"], pdf["size"]) == ("a.pdf", 5)
    assert await client.blob(pdf["blobId"]) == b"%PDF-"
    assert await client.blob(innermost["blobId"]) == INNERMOST
    assert innermost["size"] == len(INNERMOST)
    deeper = await parse(client, innermost["blobId"], "subject", "bodyValues", "textBody")
    assert (deeper["subject"], deeper["bodyValues"]) == ("innermost", {})


@pytest.mark.checklist("O07", "N24")
async def test_what_only_emails_have_is_null(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.9: id, mailboxIds, keywords and receivedAt; the Thread is not told either."""
    dovecot.append(mailuser, "INBOX", enclosing(INSIDE))
    blob_id = await attached(client)
    metadata = ("id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt")
    email = await parse(client, blob_id, *metadata)
    assert email == {
        "id": None,
        "blobId": blob_id,
        "threadId": None,
        "mailboxIds": None,
        "keywords": None,
        "size": len(INSIDE),
        "receivedAt": None,
    }


@pytest.mark.checklist("O09", "N13", "N14", "N15")
async def test_header_properties(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §4.1.3: as of Emails, and of their parts."""
    dovecot.append(mailuser, "INBOX", enclosing(INSIDE))
    blob_id = await attached(client)
    asked_of_email = ("header:X-THING:asText", "header:x-thing:all", "headers", "bodyStructure")
    asked = ["partId", "header:content-type:asText", "headers"]
    email = await parse(client, blob_id, *asked_of_email, bodyProperties=asked)
    assert email["header:X-THING:asText"] == "two"
    assert email["header:x-thing:all"] == [" one", " two"]
    assert [field["name"] for field in email["headers"]][-3:] == [
        "X-Thing",
        "X-Thing",
        "Content-Type",
    ]
    root = email["bodyStructure"]
    assert root["headers"] == email["headers"]
    pdf = root["subParts"][1]
    assert pdf["header:content-type:asText"] == "application/pdf; name=a.pdf"
    assert [field["name"] for field in pdf["headers"]] == [
        *("Content-Type", "Content-Disposition", "Content-Transfer-Encoding")
    ]


@pytest.mark.checklist("O09", "O04", "N12")
async def test_arguments_are_those_of_email_get(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.9: values are cut between characters; forms are for their own fields."""
    dovecot.append(mailuser, "INBOX", enclosing(INSIDE))
    blob_id = await attached(client)
    email = await parse(client, blob_id, fetchTextBodyValues=True, maxBodyValueBytes=4)
    assert email["bodyValues"]["1.1"] == {
        "value": "Caf",
        "isEncodingProblem": False,
        "isTruncated": True,
    }
    for arguments in (
        {"properties": ["header:From:asDate"]},
        {"bodyProperties": ["header:From:asDate"]},
        {"properties": ["nonsense"]},
        {"fetchTextBodyValues": 1},
        {"blobIds": None},
    ):
        with pytest.raises(Refused) as refused:
            await client.call("Email/parse", **{"blobIds": [blob_id], **arguments})
        assert refused.value.type == "invalidArguments"
    with pytest.raises(Refused) as refused:
        await client.call("Email/parse", blobIds=[f"m{n}" for n in range(1001)])
    assert refused.value.type == "requestTooLarge"


@pytest.mark.checklist("O08")
async def test_blobs_that_are_no_messages_or_are_not_there(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.9: notParsable and notFound; the others are parsed all the same."""
    dovecot.append(mailuser, "INBOX", INSIDE)
    email = await client.email("blobId", "attachments")
    pdf, innermost = (part["blobId"] for part in email["attachments"])
    asked = [pdf, innermost, "p9-" + email["id"], "mEnobody", "!", innermost, email["blobId"]]
    answer = await client.call("Email/parse", blobIds=asked, properties=["subject"])
    assert answer["accountId"] == client.account.id
    assert answer["parsed"] == {
        innermost: {"subject": "innermost"},
        email["blobId"]: {"subject": "inside"},
    }
    assert answer["notParsable"] == [pdf]
    assert answer["notFound"] == ["p9-" + email["id"], "mEnobody", "!"]
    nothing = await client.call("Email/parse", blobIds=[])
    assert [nothing[name] for name in ("parsed", "notParsable", "notFound")] == [None] * 3


@pytest.mark.checklist("O06")
async def test_header_fields_in_utf_8(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 6532: an internationalised message inside of an ordinary one."""
    message = crlf("""
        From: Jörg <jörg@exämple.test>
        Subject: Grüße
        Content-Type: text/plain; charset=utf-8

        Füße
        """)
    letter = enclosing(message).replace(b"message/rfc822", b"message/global")
    dovecot.append(mailuser, "INBOX", letter)
    email = await parse(client, await attached(client), "from", "subject", "preview")
    assert email == {
        "from": [{"name": "Jörg", "email": "jörg@exämple.test"}],
        "subject": "Grüße",
        "preview": "Füße",
    }


@pytest.mark.checklist("O09", "N21")
async def test_an_email_parses_to_what_email_get_shows(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.9: the same object, whichever way it is read."""
    dovecot.append(mailuser, "INBOX", INSIDE)
    names = (*DEFAULT_PROPERTIES, "blobId", "size", "headers", "bodyStructure")
    shape = ["partId", "blobId", "type", "charset", "name", "disposition", "cid", "headers"]
    got = await client.email(*names, bodyProperties=shape, fetchAllBodyValues=True)
    parsed = await parse(
        client, got["blobId"], *names, bodyProperties=shape, fetchAllBodyValues=True
    )
    del got["id"]
    assert parsed == got
