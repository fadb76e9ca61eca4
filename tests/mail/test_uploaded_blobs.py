"""RFC 8620 §6, RFC 8621 §4.6, §4.9: what can be done with an upload, and with parts of it."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from gateway.jmap.limits import Limits
from gateway.mail import blob as blob_module
from gateway.mail.blob import open_blob
from gateway.store.base import StoreUnavailable
from gateway.store.memory_durable import MemoryDurable
from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.mail.messages import crlf, mail
from tests.mail.uploading import upload
from tests.servers.dovecot import Dovecot

PICTURE = bytes(range(256)) * 2000
INNER = crlf("""
    Subject: Inner
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary=i

    --i
    Content-Type: text/plain; charset=utf-8

    The text.
    --i
    Content-Type: image/png; name=dot.png
    Content-Disposition: attachment
    Content-Transfer-Encoding: base64

    PICTURE
    --i--
    """).replace(b"PICTURE", base64.encodebytes(PICTURE).replace(b"\n", b"\r\n").strip())
OUTER = (
    b"Subject: Outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n--o--\r\n"
)


@pytest.mark.checklist("J01", "C24")
async def test_an_uploaded_message_is_parsed_and_its_parts_are_blobs(client: Client) -> None:
    """RFC 8621 §4.9: also those of messages in it."""
    blob_id = await upload(client, OUTER, "message/rfc822")
    assert await client.blob(blob_id) == OUTER
    arguments = {"properties": ["subject", "attachments", "blobId"]}
    outer = (await client.call("Email/parse", blobIds=[blob_id], **arguments))["parsed"][blob_id]
    assert (outer["subject"], outer["blobId"]) == ("Outer", blob_id)
    (attached,) = outer["attachments"]
    assert await client.blob(attached["blobId"]) == INNER
    answer = await client.call("Email/parse", blobIds=[attached["blobId"]], **arguments)
    inner = answer["parsed"][attached["blobId"]]
    (picture,) = inner["attachments"]
    assert await client.blob(picture["blobId"]) == PICTURE
    blob = await open_blob(client.account, picture["blobId"])
    assert blob is not None
    assert b"".join([chunk async for chunk in blob.chunks(1000, 300_000)]) == PICTURE[1000:300_000]


async def test_what_no_upload_has_is_not_found(client: Client) -> None:
    """R10."""
    blob_id = await upload(client, OUTER)
    for other in (f"{blob_id}-9", f"{blob_id}-1m9", "u" + "A" * 22, "u" + "A" * 22 + "-1", "u"):
        assert await client.blob(other) is None, other
    answer = await client.call("Email/parse", blobIds=["u" + "A" * 22, blob_id + "-7"])
    assert answer["notFound"] == ["u" + "A" * 22, blob_id + "-7"]


async def test_an_upload_needs_no_mail_server(
    connect: Connect, start_dovecot: Callable[..., Dovecot]
) -> None:
    """RFC 8620 §6.2: what the store has is served while the mail server is away."""
    server = start_dovecot()
    client = await connect(server, server.add_user())
    blob_id = await upload(client, b"here")
    server.stop()
    assert await client.blob(blob_id) == b"here"


async def test_a_store_that_fails_is_no_missing_blob(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §3.6.2: serverUnavailable; the client tries again."""
    blob_id = await upload(client, mail())

    async def fail(*_: object) -> None:
        raise StoreUnavailable("memory", "it fails on purpose")

    monkeypatch.setattr(MemoryDurable, "read", fail)
    with pytest.raises(Refused) as caught:
        await client.call("Email/parse", blobIds=[blob_id])
    assert caught.value.type == "serverUnavailable"


async def test_an_upload_that_is_too_large_is_not_taken_apart(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R17: it is in memory for that."""
    blob_id = await upload(client, OUTER)
    monkeypatch.setattr(blob_module, "DEFAULTS", Limits(max_size_upload=len(OUTER) - 1))
    with pytest.raises(blob_module.BlobTooLarge):
        await open_blob(client.account, f"{blob_id}-1")


@pytest.mark.checklist("J01", "J07")
async def test_a_draft_is_replaced_in_one_call_and_keeps_its_attachments(
    client: Client,
) -> None:
    """RFC 8620 §6: the last reference goes in the call that makes a new one."""
    inbox = (await client.paths())["Inbox"]
    picture = await upload(client, PICTURE, "image/png")

    def draft(blob_id: str) -> dict[str, object]:
        attachment = {"blobId": blob_id, "type": "image/png", "disposition": "attachment"}
        return {"mailboxIds": {inbox: True}, "subject": "Draft", "attachments": [attachment]}

    answer = await client.call("Email/set", create={"d": draft(picture)})
    old = answer["created"]["d"]["id"]
    (email,) = await client.emails([old], ["attachments"])
    attached = email["attachments"][0]["blobId"]
    assert attached.startswith("p")
    answer = await client.call("Email/set", create={"d": draft(attached)}, destroy=[old])
    assert answer["destroyed"] == [old]
    new = answer["created"]["d"]["id"]
    (email,) = await client.emails([new], ["attachments"])
    assert await client.blob(email["attachments"][0]["blobId"]) == PICTURE
    assert await client.query() == [new]
    assert await client.blob(attached) is None
