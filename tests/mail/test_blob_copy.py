"""RFC 8620 §6.3: Blob/copy."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.jmap.errors import SetError
from gateway.mail import blob_copy
from gateway.sync.errors import MessageGone
from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.mail.messages import mail
from tests.mail.test_uploaded_blobs import INNER, OUTER, PICTURE
from tests.mail.uploading import upload
from tests.servers.dovecot import Dovecot, User


@pytest.fixture
async def target(client: Client, connect: Connect, dovecot: Dovecot) -> Client:
    """Give a client of an account that `client` may use, too."""
    target = await connect(dovecot, dovecot.add_user())
    client.accounts[target.account.id] = target.account
    return target


async def copy(client: Client, target: Client, *blob_ids: str, **arguments: Any) -> dict[str, Any]:
    accounts = {"fromAccountId": client.account.id, "accountId": target.account.id}
    return await client.call("Blob/copy", blobIds=list(blob_ids), **{**accounts, **arguments})


@pytest.mark.checklist("G09", "J01")
async def test_messages_parts_and_uploads_are_copied(
    client: Client, target: Client, dovecot: Dovecot, mailuser: User
) -> None:
    dovecot.append(mailuser, "INBOX", OUTER)
    email = await client.email("blobId", "attachments")
    uploaded = await upload(client, PICTURE)
    originals = {
        email["blobId"]: OUTER,
        email["attachments"][0]["blobId"]: INNER,
        email["attachments"][0]["blobId"].replace("p1-", "p1m2-"): PICTURE,
        uploaded: PICTURE,
    }
    answer = await copy(client, target, *originals)
    assert answer["notCopied"] is None
    assert answer["fromAccountId"] == client.account.id
    assert answer["accountId"] == target.account.id
    assert answer["copied"].keys() == originals.keys()
    for original, octets in originals.items():
        assert await target.blob(answer["copied"][original]) == octets
        assert await client.blob(answer["copied"][original]) is None
    # The copy is a blob of that account: its message can be imported there.
    inbox = (await target.paths())["Inbox"]
    new = {"blobId": answer["copied"][email["blobId"]], "mailboxIds": {inbox: True}}
    imported = await target.call("Email/import", emails={"i": new})
    assert imported["created"]["i"]["size"] == len(OUTER)


@pytest.mark.checklist("G09")
async def test_blobs_that_are_not_there_are_not_found(client: Client, target: Client) -> None:
    """R10: neither are those of the account that is copied to."""
    mine, theirs = await upload(client, b"mine"), await upload(target, b"theirs")
    unknown = [theirs, "u" + "A" * 22, "mE0", "x", "", "#b"]
    answer = await copy(client, target, *unknown, mine, mine)
    assert list(answer["copied"]) == [mine]
    assert answer["notCopied"] == {blob_id: {"type": "notFound"} for blob_id in unknown}
    answer = await copy(client, target)
    assert (answer["copied"], answer["notCopied"]) == (None, None)


@pytest.mark.checklist("G09")
async def test_accounts_are_two_that_the_user_has(client: Client, target: Client) -> None:
    own = client.account.id
    for arguments, type_ in (
        ({"fromAccountId": "aunknown"}, "fromAccountNotFound"),
        ({"accountId": "aunknown"}, "accountNotFound"),
        ({"fromAccountId": None}, "invalidArguments"),
        ({"accountId": own}, "invalidArguments"),
        ({"blobIds": None}, "invalidArguments"),
        ({"blobIds": [1]}, "invalidArguments"),
        ({"blobs": []}, "invalidArguments"),
        ({"blobIds": ["x"] * 2 + [f"x{n}" for n in range(1000)]}, "requestTooLarge"),
    ):
        with pytest.raises(Refused) as caught:
            await client.call(
                "Blob/copy",
                **{
                    "fromAccountId": own,
                    "accountId": target.account.id,
                    "blobIds": [],
                    **arguments,
                },
            )
        assert caught.value.type == type_, arguments


async def test_no_more_octets_are_copied_than_may_be_uploaded(
    client: Client, target: Client
) -> None:
    """RFC 8620 §5.3: tooLarge."""
    large, small = await upload(client, b"12345"), await upload(client, b"1234")
    with pytest.raises(SetError) as caught:
        await blob_copy.copy_blob(client.account, target.account, large, 4)
    assert caught.value.type == "tooLarge"
    await blob_copy.copy_blob(client.account, target.account, small, 4)


async def test_what_goes_away_while_it_is_copied_is_not_found(
    client: Client, target: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §6.3: and nothing of it stays."""
    blob_id = await upload(client, mail())

    async def gone(*_: object) -> None:
        raise MessageGone("gone")

    monkeypatch.setattr(target.account.uploads, "receive", gone)
    answer = await copy(client, target, blob_id)
    assert answer["notCopied"] == {blob_id: {"type": "notFound"}}
