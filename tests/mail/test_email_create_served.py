"""RFC 8621 §4.6: Emails created on a real server, and what is read of them afterwards."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.mail.client import Client
from tests.mail.conftest import Connect
from tests.mime.corpus import torture
from tests.servers.dovecot import Dovecot, User


async def create(client: Client, **email: Any) -> dict[str, Any]:
    """What is told of a new Email in the inbox. A refusal is what it consists of."""
    mailboxes = await client.paths()
    whole = {"mailboxIds": {mailboxes["Inbox"]: True}, **email}
    answer = await client.call("Email/set", create={"new": whole})
    told: dict[str, Any] = (answer["created"] or answer["notCreated"])["new"]
    return told


async def uploaded(client: Client, octets: bytes, cut: int = 1 << 16) -> str:
    """The id of a blob."""

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(octets), cut):
            yield octets[at : at + cut]

    uploads = client.account.uploads
    return (await uploads.receive("application/octet-stream", chunks(), len(octets))).blob_id


@pytest.mark.checklist("Q08", "Q10", "Q13")
@pytest.mark.parametrize("name", ["dovecot", "cyrus"])
async def test_what_is_created_is_what_is_read(
    name: str, request: pytest.FixtureRequest, connect: Connect
) -> None:
    """RFC 8621 §4.6: the answer has id, blobId, threadId and size; all else is as it was sent.

    Cyrus takes addresses of RFC 6532 only if it is told to (deploy/docs/cyrus.md).
    """
    if name == "cyrus":
        server = request.getfixturevalue("start_cyrus")(extra="munge8bit: no")
    else:
        server = request.getfixturevalue(name)
    client = await connect(server, server.add_user())
    email = {
        "keywords": {"$draft": True, "$seen": True, "mine": True},
        "receivedAt": "2021-02-03T04:05:06Z",
        "from": [{"name": "Jörg Groß, jun.", "email": "joerg@example.org"}],
        "to": [
            {"name": None, "email": "用户@例え.jp"},
            {"name": 'A "B" C', "email": "b@example.org"},
        ],
        "subject": "Grüße aus Köln ☃ und anderswo, mit so viel Text, dass er umbrochen wird",
        "sentAt": "2021-02-03T05:05:05+01:00",
        "references": ["a@b", "c@d"],
        "header:X-Team:asGroupedAddresses": [
            {"name": "Équipe", "addresses": [{"name": None, "email": "e@example.org"}]}
        ],
    }
    text = "Hi \r\nFrom here\n.\n-- \nJörg\n"
    body = {
        "textBody": [{"partId": "t", "type": "text/plain"}],
        "htmlBody": [{"partId": "h", "type": "text/html"}],
        "bodyValues": {"t": {"value": text}, "h": {"value": "<p>Größe</p>"}},
    }
    told = await create(client, **email, **body)
    assert told.keys() == {"id", "blobId", "threadId", "size"}
    (shown,) = await client.emails(
        [told["id"]],
        [*email, "blobId", "threadId", "size", "messageId", "textBody", "htmlBody", "bodyValues"],
        fetchAllBodyValues=True,
    )
    assert {name: shown[name] for name in email} == email
    assert {name: shown[name] for name in told} == told
    values = shown["bodyValues"]
    assert values[shown["textBody"][0]["partId"]]["value"] == text.replace("\r\n", "\n")
    assert values[shown["htmlBody"][0]["partId"]]["value"] == "<p>Größe</p>"
    octets = await client.blob(told["blobId"])
    assert octets is not None
    assert len(octets) == told["size"]


@pytest.mark.checklist("Q09")
async def test_parts_of_messages_messages_and_uploads_are_attached(
    connect: Connect, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.6: what is forwarded is read from the server while the new message is written."""
    picture = bytes(range(256)) * 4_000
    client = await connect(dovecot, mailuser)
    first = await create(
        client,
        attachments=[
            {"blobId": await uploaded(client, picture), "type": "image/png", "name": "Bïld.png"},
        ],
    )
    (email,) = await client.emails([first["id"]], ["attachments"])
    (attachment,) = email["attachments"]
    second = await create(
        client,
        subject="Fwd",
        attachments=[
            {"blobId": attachment["blobId"], "type": "image/png", "name": attachment["name"]},
            {"blobId": first["blobId"], "type": "message/rfc822", "name": "mail.eml"},
        ],
    )
    (email,) = await client.emails([second["id"]], ["attachments"])
    shown = [(part["name"], part["type"]) for part in email["attachments"]]
    assert shown == [("Bïld.png", "image/png"), ("mail.eml", "message/rfc822")]
    assert await client.blob(email["attachments"][0]["blobId"]) == picture
    whole = await client.blob(first["blobId"])
    assert await client.blob(email["attachments"][1]["blobId"]) == whole


@pytest.mark.checklist("Q09")
async def test_what_is_not_found_is_named_and_nothing_is_created(client: Client) -> None:
    there = await uploaded(client, b"there")
    parts = [{"blobId": "ugone"}, {"blobId": there}, {"blobId": "mEgone"}]
    told = await create(client, attachments=parts)
    assert (told["type"], told["notFound"]) == ("blobNotFound", ["ugone", "mEgone"])
    assert await client.query() == []


@pytest.mark.checklist("Q05", "Q06", "Q07")
async def test_what_is_invalid_is_named_and_nothing_is_created(client: Client) -> None:
    """RFC 8620 §5.3: and what else is to be created is created."""
    inbox = (await client.paths())["Inbox"]
    answer = await client.call(
        "Email/set",
        create={
            "bad": {
                "mailboxIds": {inbox: True},
                "subject": "a\r\nBcc: evil@example.org",
                "textBody": [{"partId": "t", "blobId": "u"}],
            },
            "good": {"mailboxIds": {inbox: True}, "subject": "b"},
        },
    )
    assert list(answer["created"]) == ["good"]
    error = answer["notCreated"]["bad"]
    assert error["type"] == "invalidProperties"
    assert error["properties"] == ["subject", "textBody/0/blobId", "textBody/0/partId"]
    assert [email["subject"] for email in await client.emails(properties=["subject"])] == ["b"]


@pytest.mark.checklist("Q11")
async def test_drafts_without_recipients_or_text_are_kept(client: Client) -> None:
    """RFC 8621 §4.6: half-finished drafts."""
    for email in ({}, {"to": [{"name": None, "email": "bob"}]}, {"to": [], "subject": ""}):
        assert "id" in await create(client, keywords={"$draft": True}, **email)
    shown = await client.emails(properties=["to", "subject", "keywords"])
    assert sorted(str(email["to"]) for email in shown) == sorted(
        ["None", "[{'name': None, 'email': 'bob'}]", "None"]
    )
    assert all(email["keywords"] == {"$draft": True} for email in shown)


async def test_any_message_can_be_attached(
    connect: Connect, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 2046 §5.2.1: broken ones too; each octet but of line ends is there."""
    client = await connect(dovecot, mailuser)
    few = {name: octets for name, octets in torture().items() if 0 < len(octets) < 30_000}
    names = sorted(few)[:: max(1, len(few) // 20)]
    parts = [
        {"blobId": await uploaded(client, few[name]), "type": "message/rfc822", "name": name}
        for name in names
    ]
    told = await create(client, attachments=parts)
    (email,) = await client.emails([told["id"]], ["attachments"])
    assert [part["name"] for part in email["attachments"]] == names
    for part, name in zip(email["attachments"], names, strict=True):
        octets = await client.blob(part["blobId"])
        if part["type"] == "message/rfc822":
            expected = re.sub(rb"(?<!\r)\n", b"\r\n", few[name])
            # Where a message ends without one, Dovecot takes the line end of the delimiter.
            assert octets in (expected, expected + b"\r\n"), name
        else:
            assert (part["type"], octets) == ("message/global", few[name]), name
