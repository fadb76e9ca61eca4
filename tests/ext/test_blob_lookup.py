"""RFC 9404 §4.3: Blob/lookup."""

from __future__ import annotations

import pytest

from tests.mail.client import Client, Refused
from tests.mail.messages import mail
from tests.mail.uploading import upload
from tests.servers.dovecot import Dovecot, User

NAMES = ["Mailbox", "Thread", "Email"]


async def test_a_blob_is_looked_up_in_email_thread_and_mailboxes(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    dovecot.append(mailuser, "INBOX", mail(subject="one"))
    email = await client.email("id", "blobId", "threadId", "mailboxIds", "textBody")
    expected = {
        "Mailbox": list(email["mailboxIds"]),
        "Thread": [email["threadId"]],
        "Email": [email["id"]],
    }
    ids = [email["blobId"], email["textBody"][0]["blobId"]]
    answer = await client.call("Blob/lookup", typeNames=NAMES, ids=ids)
    assert answer["list"] == [{"id": id_, "matchedIds": expected} for id_ in ids]
    answer = await client.call("Blob/lookup", typeNames=["Email"], ids=ids[:1])
    assert answer["list"] == [{"id": ids[0], "matchedIds": {"Email": [email["id"]]}}]


async def test_a_copy_is_found_in_all_its_mailboxes(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    dovecot.append(mailuser, "INBOX", mail(subject="one"))
    email = await client.email("id", "blobId", "mailboxIds")
    made = await client.call("Mailbox/set", create={"m": {"name": "Other"}})
    other = made["created"]["m"]["id"]
    await client.call("Email/set", update={email["id"]: {f"mailboxIds/{other}": True}})
    answer = await client.call("Blob/lookup", typeNames=["Mailbox"], ids=[email["blobId"]])
    matched = answer["list"][0]["matchedIds"]["Mailbox"]
    assert set(matched) == {other, *email["mailboxIds"]}


async def test_nothing_refers_to_an_upload_or_to_what_is_not_there(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    dovecot.append(mailuser, "INBOX", mail(subject="one"))
    email = await client.email("blobId")
    gone = [await upload(client, b"x"), "mE0", "p9-" + email["blobId"][1:], "nonsense", "#none"]
    answer = await client.call("Blob/lookup", typeNames=NAMES, ids=gone)
    nothing: dict[str, list[str]] = {name: [] for name in NAMES}
    assert answer["list"] == [{"id": id_, "matchedIds": nothing} for id_ in gone]


@pytest.mark.parametrize("name", ["Identity", "Email/get", "email", ""])
async def test_types_that_have_no_blobs_are_unknown(client: Client, name: str) -> None:
    with pytest.raises(Refused) as refused:
        await client.call("Blob/lookup", typeNames=["Email", name], ids=[])
    assert refused.value.type == "unknownDataType"
