"""RFC 9404 §4.2: Blob/get."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from gateway.ext import blob_get
from gateway.ext.blob import BLOB, DIGESTS
from gateway.ext.registry import account_capabilities, session_capabilities
from tests.mail.client import Client, Refused
from tests.mail.messages import mail
from tests.mail.uploading import upload
from tests.servers.dovecot import Dovecot, User

FOX = b"The quick brown fox jumped over the \x81\x81 dog."
HELLO = b"hello world"


async def get(client: Client, *ids: str, **arguments: Any) -> list[dict[str, Any]]:
    """The blobs, without their ids, in the order they were asked for."""
    answer = await client.call("Blob/get", ids=list(ids), **arguments)
    assert answer["notFound"] == []
    assert [blob.pop("id") for blob in answer["list"]] == list(ids)
    blobs: list[dict[str, Any]] = answer["list"]
    return blobs


def encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


async def test_capabilities_are_announced(client: Client) -> None:
    assert session_capabilities()[BLOB] == {}
    capability = account_capabilities(client.account)[BLOB]
    assert capability["maxDataSources"] >= 64
    assert capability["maxSizeBlobSet"] > 0
    assert set(capability["supportedTypeNames"]) == {"Mailbox", "Thread", "Email"}
    assert capability["supportedDigestAlgorithms"] == list(DIGESTS)


async def test_data_comes_as_text_where_it_is_text(client: Client) -> None:
    """RFC 9404 §4.2.2."""
    ids = [await upload(client, FOX), await upload(client, HELLO)]
    hello = {"data:asText": "hello world", "size": 11}
    broken = {"data:asText": None, "isEncodingProblem": True, "size": 43}
    assert await get(client, *ids) == [broken | {"data:asBase64": encoded(FOX)}, hello]
    assert await get(client, *ids, properties=["data:asText", "size"]) == [broken, hello]
    assert await get(client, *ids, properties=["data:asBase64"]) == [
        {"data:asBase64": encoded(FOX)},
        {"data:asBase64": encoded(HELLO)},
    ]
    assert await get(client, *ids, offset=0, length=5) == [
        {"data:asText": "The q", "size": 43},
        {"data:asText": "hello", "size": 11},
    ]
    assert await get(client, *ids, offset=20, length=100) == [
        broken | {"data:asBase64": encoded(FOX[20:]), "isTruncated": True},
        {"data:asText": "", "isTruncated": True, "size": 11},
    ]


async def test_a_range_may_cut_a_character(client: Client) -> None:
    blob_id = await upload(client, "Grüße".encode())
    (cut,) = await get(client, blob_id, length=3, properties=["data:asText"])
    assert cut == {"data:asText": None, "isEncodingProblem": True}
    (whole,) = await get(client, blob_id, length=4, properties=["data:asText"])
    assert whole == {"data:asText": "Grü"}


@pytest.mark.parametrize(
    ("offset", "length", "octets", "is_truncated"),
    [
        (None, None, HELLO, False),
        (11, None, b"", False),
        (12, None, b"", True),
        (0, 11, HELLO, False),
        (0, 12, HELLO, True),
        (6, 5, b"world", False),
        (6, 0, b"", False),
        (100, 0, b"", True),
    ],
)
async def test_a_range_that_is_not_all_there_is_said_to_be_truncated(
    client: Client, offset: int | None, length: int | None, octets: bytes, is_truncated: bool
) -> None:
    blob_id = await upload(client, HELLO)
    (got,) = await get(
        client, blob_id, offset=offset, length=length, properties=["data:asBase64", "digest:sha"]
    )
    assert base64.b64decode(got["data:asBase64"]) == octets
    assert base64.b64decode(got["digest:sha"]) == hashlib.sha1(octets).digest()
    assert got.get("isTruncated", False) is is_truncated


async def test_digests_are_those_of_what_is_asked_for(client: Client) -> None:
    """RFC 9404 §4.2.1."""
    blob_id = await upload(client, b"The quick brown fox jumped over the lazy dog.")
    properties = ["data:asText", "digest:sha", "digest:sha-256", "size"]
    (whole,) = await get(client, blob_id, properties=properties)
    assert whole["digest:sha"] == "wIVPufsDxBzOOALLDSIFKebu+U4="
    (part,) = await get(client, blob_id, offset=4, length=9, properties=properties)
    assert part == {
        "data:asText": "quick bro",
        "digest:sha": "QiRAPtfyX8K6tm1iOAtZ87Xj3Ww=",
        "digest:sha-256": "gdg9INW7lwHK6OQ9u0dwDz2ZY/gubi0En0xlFpKt0OA=",
        "size": 45,
    }


async def test_messages_and_parts_are_blobs(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    octets = mail(subject="one")
    dovecot.append(mailuser, "INBOX", octets)
    email = await client.email("blobId", "textBody")
    part = email["textBody"][0]["blobId"]
    whole, text = await get(client, email["blobId"], part)
    assert whole == {"data:asText": octets.decode(), "size": len(octets)}
    assert text["data:asText"].encode() == await client.blob(part)


async def test_the_size_alone_costs_no_octets(
    client: Client, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    dovecot.append(mailuser, "INBOX", mail(subject="one"))
    email = await client.email("blobId", "size")
    monkeypatch.setattr(blob_get, "_MAX_OCTETS", 0)
    (got,) = await get(client, email["blobId"], properties=["size"])
    assert got == {"size": email["size"]}


async def test_what_is_no_blob_is_not_found(client: Client) -> None:
    there = await upload(client, HELLO)
    unknown = ["uA", "mE0", "#none", "", "x" * 300]
    answer = await client.call("Blob/get", ids=[*unknown, there, there])
    assert answer["notFound"] == unknown
    assert [blob["id"] for blob in answer["list"]] == [there]


async def test_more_than_an_answer_holds_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_get, "_MAX_OCTETS", 20)
    one, other = await upload(client, HELLO), await upload(client, HELLO)
    assert len(await get(client, one)) == 1
    assert len(await get(client, one, other, length=10)) == 2
    with pytest.raises(Refused) as refused:
        await get(client, one, other)
    assert refused.value.type == "requestTooLarge"


@pytest.mark.parametrize(
    "arguments",
    [
        {"ids": None},
        {"properties": ["data:asHtml"]},
        {"properties": ["digest:crc32"]},
        {"offset": -1},
        {"length": "1"},
        {"colour": "red"},
    ],
)
async def test_bad_arguments_are_refused(client: Client, arguments: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        await client.call("Blob/get", **{"ids": [], **arguments})
    assert refused.value.type == "invalidArguments"
