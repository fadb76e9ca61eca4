"""RFC 9007 §2.2: MDN/parse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.ext.mdn import MDN
from gateway.ext.mdn_parse import MDN_PARSE
from gateway.ext.registry import METHODS, TYPES
from gateway.jmap.registry import Registry
from gateway.mail import named_emails as lookup
from gateway.mail.named_emails import named_emails
from tests.mail.client import Client, Refused, connected
from tests.mail.conftest import Connect
from tests.mail.messages import mail
from tests.mail.uploading import upload
from tests.mime.mdns import LEAST, MESSAGE, about, notification
from tests.servers.between import between
from tests.servers.dovecot import Dovecot, User
from tests.servers.scripted import Peer, Received


@pytest.fixture
async def client(connect: Connect, dovecot: Dovecot, mailuser: User) -> Client:
    """Give a client that uses the capability."""
    account = (await connect(dovecot, mailuser)).account
    client = Client(account, registry=Registry(TYPES, (*METHODS, MDN_PARSE)))
    client.using.append(MDN)
    client.capabilities |= {MDN}
    return client


async def parse(client: Client, octets: bytes) -> dict[str, Any]:
    """The MDN object of an upload."""
    blob_id = await upload(client, octets, "message/rfc822")
    answer = await client.call("MDN/parse", blobIds=[blob_id])
    assert (answer["notParsable"], answer["notFound"]) == (None, None)
    mdn: dict[str, Any] = answer["parsed"][blob_id]
    return mdn


async def test_a_notification_that_arrived_is_an_mdn_for_the_email_that_was_sent(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    dovecot.append(mailuser, "Sent", mail("original"))
    (sent,) = await client.query()
    dovecot.append(mailuser, "INBOX", notification())
    blobs = [email["blobId"] for email in await client.emails() if email["id"] != sent]
    answer = await client.call("MDN/parse", blobIds=blobs)
    assert answer == {
        "accountId": client.account.id,
        "parsed": {
            blobs[0]: {
                "forEmailId": sent,
                "subject": "Gelesen: Grüße",
                "textBody": "It was shown.",
                "includeOriginalMessage": False,
                "reportingUA": "joes-pc.cs.example.test; Foomail 97.1",
                "disposition": {
                    "actionMode": "manual-action",
                    "sendingMode": "mdn-sent-manually",
                    "type": "displayed",
                },
                "mdnGateway": "dns; gate.example.test",
                "originalRecipient": "rfc822;john@example.test",
                "finalRecipient": "rfc822; johnny@example.test",
                "originalMessageId": "<original@example.test>",
                "error": ["out of paper", "out of ink"],
                "extensionFields": {"X-Colour": "red"},
            }
        },
        "notParsable": None,
        "notFound": None,
    }


async def test_what_a_notification_does_not_say_is_null(client: Client) -> None:
    mdn = await parse(client, notification(LEAST, MESSAGE))
    nothing = {name for name, value in mdn.items() if value is None}
    assert nothing == {
        *("forEmailId", "reportingUA", "mdnGateway", "originalRecipient", "originalMessageId"),
        *("error", "extensionFields"),
    }
    assert (mdn["includeOriginalMessage"], mdn["finalRecipient"]) == (True, "rfc822;j@x")


async def test_of_several_emails_with_that_message_id_none_is_named(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    for number in ("twice", "twice", "once", "xonce"):
        dovecot.append(mailuser, "INBOX", mail(number, body=f"{number}\r\n"))
    dovecot.append(mailuser, "INBOX", mail("twice", body="again\r\n"))
    (once,) = await client.query({"header": ["Message-ID", "<once@"]})
    named = {
        id_: (await parse(client, about(f"<{id_}@example.test>")))["forEmailId"]
        for id_ in ("twice", "once", "nce", "none")
    }
    assert named == {"twice": None, "once": once, "nce": None, "none": None}


@pytest.mark.parametrize(
    "message_id", ["<>", "<a b@example.test>", '<"q\\"r"@example.test>', "<é@example.test>", "x"]
)
async def test_a_message_id_may_be_anything(client: Client, message_id: str) -> None:
    mdn = await parse(client, about(message_id))
    assert (mdn["forEmailId"], mdn["originalMessageId"]) == (None, message_id)


async def test_blobs_that_are_no_notifications_or_are_not_there(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    dovecot.append(mailuser, "INBOX", mail())
    email = await client.email("blobId")
    text = await upload(client, b"x")
    untold = await upload(client, notification("Final-Recipient: rfc822;j@x"))
    good = await upload(client, notification())
    asked = [email["blobId"], text, good, untold, "mEnobody", "!", "#none", good]
    answer = await client.call("MDN/parse", blobIds=asked)
    assert list(answer["parsed"]) == [good]
    assert answer["notParsable"] == [email["blobId"], text, untold]
    assert answer["notFound"] == ["mEnobody", "!", "#none"]
    nothing = await client.call("MDN/parse", blobIds=[])
    assert [nothing[name] for name in ("parsed", "notParsable", "notFound")] == [None] * 3


async def test_what_can_not_be_asked_for_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused) as refused:
        await client.call("MDN/parse", blobIds=[f"m{n}" for n in range(1001)])
    assert refused.value.type == "requestTooLarge"
    invalid: tuple[dict[str, Any], ...] = ({"blobIds": None}, {"blobIds": [1]}, {"blobs": []})
    for arguments in invalid:
        with pytest.raises(Refused) as refused:
            await client.call("MDN/parse", **arguments)
        assert refused.value.type == "invalidArguments"
    monkeypatch.setattr("gateway.ext.mdn_parse.MAX_VALUES_OCTETS", 20)
    with pytest.raises(Refused) as refused:
        await parse(client, notification())
    assert refused.value.type == "requestTooLarge"


async def test_the_capability_is_needed(client: Client) -> None:
    client.using.remove(MDN)
    with pytest.raises(Refused) as refused:
        await client.call("MDN/parse", blobIds=[])
    assert refused.value.type == "unknownMethod"


# --- which Emails have a Message-ID ---------------------------------------------------------------


async def test_many_message_ids_are_looked_up_in_few_searches(
    client: Client, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        dovecot.append(mailuser, "INBOX", mail(number, body=f"{number}\r\n"))
    monkeypatch.setattr(lookup, "MAX_OCTETS", 200)
    wanted = [f"{number}@example.test" for number in (1, 2, 3, 4, 5, 6)]
    found = await named_emails(client.account, wanted)
    assert found.keys() == set(wanted[:-1])
    emails = await client.emails([found[id_][0] for id_ in wanted[:-1]], ["messageId"])
    assert [email["messageId"] for email in emails] == [[id_] for id_ in wanted[:-1]]


@pytest.mark.parametrize("most", [100_000, 0])
async def test_where_the_server_does_not_search_headers_the_gateway_does(
    dovecot: Dovecot,
    mailuser: User,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
) -> None:
    refused: list[bytes] = []

    async def refuse(peer: Peer, command: Received) -> bool:
        if b"HEADER" not in command.line or b"SEARCH" not in command.line:
            return False
        refused.append(command.line)
        await peer.send(command.tag + b" BAD what?")
        return True

    dovecot.append(mailuser, "INBOX", mail("one"))
    dovecot.append(mailuser, "INBOX", mail("two"))
    monkeypatch.setattr("gateway.sync.searching._LOCAL_MOST", most)
    async with (
        between(dovecot.ports.imap, refuse) as server,
        connected(dovecot, mailuser, tmp_path, port=server.port) as client,
    ):
        found = await named_emails(client.account, ["one@example.test", "one@example.tes"])
        assert list(found) == (["one@example.test"] if most else [])
        assert refused


async def test_a_search_that_takes_too_long_finds_nothing(
    client: Client, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    dovecot.append(mailuser, "INBOX", mail("original"))
    monkeypatch.setattr("gateway.sync.searching.DEADLINE", 0.0)
    assert (await parse(client, notification()))["forEmailId"] is None
