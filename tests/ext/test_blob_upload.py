"""RFC 9404 §4.1: Blob/upload."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gateway.ext.blob import MAX_DATA_SOURCES
from gateway.jmap.limits import DEFAULTS
from tests.mail.client import Client
from tests.mail.messages import mail
from tests.mail.uploading import upload
from tests.servers.dovecot import Dovecot, User

CREATED = {"id", "type", "size"}


async def upload_one(client: Client, *data: Any, **members: Any) -> dict[str, Any]:
    """What is told of one new blob, or the SetError."""
    answer = await client.call("Blob/upload", create={"b": {"data": list(data), **members}})
    created, failed = answer["created"], answer["notCreated"]
    assert (created is None) != (failed is None)
    told: dict[str, Any] = (created or failed)["b"]
    return told


def text(value: str) -> dict[str, str]:
    return {"data:asText": value}


async def test_sources_are_put_together_in_order(client: Client) -> None:
    """RFC 9404 §4.1.2."""
    fox = {"data": [text("The quick brown fox jumped over the lazy dog.")]}
    cat = {
        "data": [
            text("How"),
            {"blobId": "#b4", "length": 7, "offset": 3},
            text("was t"),
            {"blobId": "#b4", "length": 1, "offset": 1},
            {"data:asBase64": "YXQ/"},
        ],
        "type": "text/plain",
    }
    (_, first), (_, second), (_, got) = await client.request(
        ("Blob/upload", {"create": {"b4": fox}}),
        ("Blob/upload", {"create": {"cat": cat}}),
        ("Blob/get", {"ids": ["#cat"], "properties": ["data:asText", "size"]}),
    )
    assert first["created"]["b4"].keys() == CREATED
    made = second["created"]["cat"]
    assert (made["size"], made["type"]) == (19, "text/plain")
    assert got["list"] == [{"id": made["id"], "data:asText": "How quick was that?", "size": 19}]
    assert await client.blob(made["id"]) == b"How quick was that?"


async def test_blobs_of_one_call_can_be_made_of_each_other(client: Client) -> None:
    create = {
        "c": {"data": [{"blobId": "#b"}, text("3")]},
        "b": {"data": [{"blobId": "#a"}, text("2")]},
        "a": {"data": [text("1")]},
    }
    answer = await client.call("Blob/upload", create=create)
    assert list(answer["created"]) == ["c", "b", "a"]
    assert await client.blob(answer["created"]["c"]["id"]) == b"123"
    circle = {"a": {"data": [{"blobId": "#b"}]}, "b": {"data": [{"blobId": "#a"}]}}
    answer = await client.call("Blob/upload", create=circle)
    assert {error["type"] for error in answer["notCreated"].values()} == {"blobNotFound"}


async def test_messages_and_their_parts_are_sources(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    octets = mail(subject="one")
    dovecot.append(mailuser, "INBOX", octets)
    email = await client.email("blobId", "textBody")
    part = email["textBody"][0]["blobId"]
    made = await upload_one(client, {"blobId": email["blobId"]}, {"blobId": part, "length": 2})
    body = await client.blob(part)
    assert body is not None
    assert await client.blob(made["id"]) == octets + body[:2]
    assert made["type"] == "application/octet-stream"


async def test_a_blob_may_be_empty(client: Client) -> None:
    made = await upload_one(client)
    assert (made["size"], await client.blob(made["id"])) == (0, b"")
    empty = await upload_one(client, {"blobId": made["id"], "offset": 0, "length": 0})
    assert empty["size"] == 0


async def test_as_many_sources_as_are_announced_are_taken(client: Client) -> None:
    made = await upload_one(client, *[text("x")] * MAX_DATA_SOURCES)
    assert made["size"] == MAX_DATA_SOURCES >= 64
    error = await upload_one(client, *[text("x")] * (MAX_DATA_SOURCES + 1))
    assert error["type"] == "tooLarge"


@pytest.mark.parametrize(
    ("data", "type_"),
    [
        ({"data:asBase64": "YXQ"}, "invalidProperties"),
        ({"data:asBase64": "YXQ/\n"}, "invalidProperties"),
        ({"data:asBase64": "Y*Q/"}, "invalidProperties"),
        ({"data:asText": 1}, "invalidProperties"),
        ({"data:asText": "a", "data:asBase64": "YXQ/"}, "invalidProperties"),
        ({"data:asText": "a", "length": 1}, "invalidProperties"),
        ({"data:asText": None}, "invalidProperties"),
        ({}, "invalidProperties"),
        ({"url": "https://example.test/"}, "invalidProperties"),
        ({"blobId": "#none"}, "blobNotFound"),
        ({"blobId": "mEnone"}, "blobNotFound"),
        ({"blobId": 7}, "invalidProperties"),
    ],
)
async def test_what_is_no_source_makes_no_blob(
    client: Client, data: dict[str, Any], type_: str
) -> None:
    error = await upload_one(client, text("before"), data)
    assert error["type"] == type_
    if type_ == "blobNotFound":
        assert error["notFound"] == [data["blobId"]]
    else:
        assert all(path.startswith("data/1") for path in error["properties"])


@pytest.mark.parametrize(
    "wanted",
    [
        {"offset": 5},
        {"length": 5},
        {"offset": 4, "length": 1},
        {"offset": -1},
        {"length": "1"},
        {"offset": 1.5},
    ],
)
async def test_a_range_that_is_not_there_makes_no_blob(
    client: Client, wanted: dict[str, Any]
) -> None:
    blob_id = await upload(client, b"four")
    error = await upload_one(client, {"blobId": blob_id, **wanted})
    assert error["type"] == "invalidProperties"
    made = await upload_one(client, {"blobId": blob_id, "offset": 4})
    assert made["size"] == 0


@pytest.mark.parametrize("members", [{"type": "text"}, {"type": "a/b\r\nc: d"}, {"name": "x"}])
async def test_an_upload_object_has_data_and_a_media_type(
    client: Client, members: dict[str, Any]
) -> None:
    error = await upload_one(client, text("a"), **members)
    assert (error["type"], error["properties"]) == ("invalidProperties", list(members))


async def test_no_more_is_kept_than_an_upload_may_have(client: Client) -> None:
    large = await upload(client, b"x" * 1_000_000)
    data = [{"blobId": large}] * (DEFAULTS.max_size_upload // 1_000_000 + 1)
    error = await upload_one(client, *data)
    assert error["type"] == "tooLarge"


async def test_a_blob_of_the_same_request_is_imported_parsed_and_attached(client: Client) -> None:
    """RFC 9404 §4.1: the creation id is available to later methods."""
    message = base64.b64encode(mail(subject="made here")).decode()
    inbox = (await client.paths())["Inbox"]
    draft = {
        "mailboxIds": {inbox: True},
        "subject": "with it",
        "textBody": [{"partId": "t", "type": "text/plain"}],
        "bodyValues": {"t": {"value": "See there."}},
        "attachments": [{"blobId": "#m", "type": "message/rfc822"}],
    }
    (_, made), (_, parsed), (_, imported), (_, drafted) = await client.request(
        ("Blob/upload", {"create": {"m": {"data": [{"data:asBase64": message}]}}}),
        ("Email/parse", {"blobIds": ["#m"], "properties": ["subject"]}),
        ("Email/import", {"emails": {"i": {"blobId": "#m", "mailboxIds": {inbox: True}}}}),
        ("Email/set", {"create": {"d": draft}}),
    )
    assert made["created"].keys() == {"m"}
    assert parsed["parsed"] == {"#m": {"subject": "made here"}}
    assert imported["created"].keys() == {"i"}
    assert drafted["notCreated"] is None
    got = await client.call(
        "Email/get", ids=[drafted["created"]["d"]["id"]], properties=["attachments"]
    )
    (attached,) = got["list"][0]["attachments"]
    assert await client.blob(attached["blobId"]) == mail(subject="made here")
