"""RFC 8621 §4.8: Email/import, on real servers."""

from __future__ import annotations

import asyncio
import imaplib
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.mail import blob as blob_module
from gateway.mail import email_import
from gateway.mail.blob import Blob
from gateway.mail.email_import import default_received, message_id
from gateway.sync.account import Account
from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.mail.messages import crlf, mail
from tests.mail.uploading import upload
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import MailServer, User, quoted

CREATED = {"id", "blobId", "threadId", "size"}


class Octets(Blob):
    """A blob that somebody has, in chunks of so many octets."""

    def __init__(self, octets: bytes, chunk: int = 50) -> None:
        self.octets = octets
        self.chunk = chunk

    @property
    def size(self) -> int:
        return len(self.octets)

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        taken = self.octets[start:stop]
        for at in range(0, len(taken), self.chunk):
            yield taken[at : at + self.chunk]


Put = Callable[..., str]


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Put:
    """Give a function that makes octets a blob of every account, and gives its id."""
    blobs: dict[str, Blob] = {}

    async def open_blob(account: Account, blob_id: str) -> Blob | None:
        return blobs.get(blob_id) or await blob_module.open_blob(account, blob_id)

    def put(octets: bytes) -> str:
        blob_id = f"uTest{len(blobs)}"
        blobs[blob_id] = Octets(octets)
        return blob_id

    monkeypatch.setattr(email_import, "open_blob", open_blob)
    return put


async def imported(client: Client, **email: Any) -> dict[str, Any]:
    """Import one message into the inbox; what is told of the Email, or the SetError."""
    inbox = (await client.paths())["Inbox"]
    email = {"mailboxIds": {inbox: True}, **email}
    answer = await client.call("Email/import", emails={"a": email})
    assert (answer["created"] is None) != (answer["notCreated"] is None)
    told: dict[str, Any] = (answer["created"] or answer["notCreated"])["a"]
    return told


def on_server(server: MailServer, user: User, mailbox: str = "INBOX") -> list[bytes]:
    """All messages of a mailbox, as they are there."""
    with server.imap(user) as client:
        client.select(quoted(mailbox), readonly=True)
        _, rows = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
        return [row[1] for row in rows if isinstance(row, tuple)]


# --- what is imported -----------------------------------------------------------------------------


@pytest.mark.checklist("R01", "R02", "R06", "J02")
async def test_a_message_becomes_an_email(
    client: Client, put: Put, dovecot: Dovecot, mailuser: User
) -> None:
    dovecot.create(mailuser, "Work")
    paths = await client.paths()
    octets = crlf(
        """
        From: J\u00f6 <j\u00f6@example.test>
        Subject: \u00c4rger
        Message-ID: <1@example.test>

        Text
        """
    )
    before = (await client.call("Email/get", ids=[]))["state"]
    wanted = {
        "blobId": put(octets),
        "mailboxIds": {paths["Inbox"]: True, paths["Work"]: True},
        "keywords": {"$Seen": True, "Work": True},
        "receivedAt": "2020-02-29T12:00:01Z",
    }
    answer = await client.call("Email/import", ifInState=before, emails={"new": wanted})
    assert answer["oldState"] == before
    assert answer["notCreated"] is None
    told = answer["created"]["new"]
    assert told.keys() == CREATED
    assert told["blobId"] != wanted["blobId"]
    email = await client.email(*CREATED, "mailboxIds", "keywords", "receivedAt", "subject", "from")
    assert {name: email[name] for name in CREATED} == told
    assert email["mailboxIds"] == wanted["mailboxIds"]
    assert email["keywords"] == {"$seen": True, "work": True}
    assert email["receivedAt"] == "2020-02-29T12:00:01Z"
    assert email["subject"] == "\u00c4rger"
    assert email["from"] == [{"name": "J\u00f6", "email": "j\u00f6@example.test"}]
    assert await client.blob(told["blobId"]) == octets
    assert on_server(dovecot, mailuser) == on_server(dovecot, mailuser, "Work") == [octets]
    changes = await client.call("Email/changes", sinceState=before)
    assert (changes["created"], changes["updated"]) == ([told["id"]], [])
    assert changes["newState"] == answer["newState"]


@pytest.mark.checklist("R03")
async def test_what_is_not_given_is_found_in_the_message(client: Client, put: Put) -> None:
    received = "Received: from a by b; Tue, 2 Jan 2024 10:00:00 +0200"
    earlier = "Received: from b by c; Mon, 1 Jan 2024 10:00:00 +0000"
    await imported(client, blobId=put(mail(1, fields=[received, earlier])))
    email = await client.email("keywords", "receivedAt")
    assert email["keywords"] == {}
    assert email["receivedAt"] == "2024-01-02T08:00:00Z"


@pytest.mark.checklist("R03")
async def test_a_message_that_was_never_received_is_received_now(client: Client, put: Put) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    await imported(client, blobId=put(mail(1)))
    email = await client.email("receivedAt")
    assert began <= datetime.fromisoformat(email["receivedAt"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Received: x; Tue, 2 Jan 2024 10:00:00 +0200\r\n", 1704182400),
        (b"Received: x; nonsense\r\nReceived: y;\r\n Tue, 2 Jan 2024 08:00:00 +0000", 1704182400),
        (b"X-Received: x; Tue, 2 Jan 2024 10:00:00 +0200\r\n", None),
        (b"Received: x; Tue, 2 Jan 1951 10:00:00 +0200\r\n", None),
        (b"Received:\r\n", None),
    ],
)
def test_the_newest_received_field_is_the_first_with_a_date(
    header: bytes, expected: int | None
) -> None:
    moment = default_received(header)
    assert (moment and moment.timestamp()) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Message-ID: <a@b>\r\n", b"<a@b>"),
        (b"message-id:\r\n <a@b> (c)\r\n", b"<a@b>"),
        (b"Subject: <a@b>\r\n", None),
        (b"Message-ID: a@b\r\n", None),
    ],
)
def test_a_message_id_is_in_angle_brackets(header: bytes, expected: bytes | None) -> None:
    assert message_id(header) == expected


async def test_a_date_that_the_server_does_not_keep_is_told(client: Client, put: Put) -> None:
    """Dovecot has a message that was received in the future received now."""
    told = await imported(client, blobId=put(mail(1)), receivedAt="2199-01-01T00:00:00Z")
    email = await client.email("receivedAt")
    assert told["receivedAt"] == email["receivedAt"] != "2199-01-01T00:00:00Z"


@pytest.mark.checklist("J01", "J02")
async def test_an_upload_is_imported(client: Client) -> None:
    octets = mail(3, body="x" * 70 + "\r\n" + "y\r\n" * 200_000)
    told = await imported(client, blobId=await upload(client, octets, "message/rfc822"))
    assert told["size"] == len(octets)
    assert await client.blob(told["blobId"]) == octets


async def test_an_attached_message_is_imported(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """Its octets come over the connections that take them as well."""
    inner = mail(2, body="x" * 70 + "\r\n") + b"y\r\n" * 200_000
    outer = (
        b"Subject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
    )
    dovecot.append(mailuser, "INBOX", outer)
    (part,) = (await client.email("attachments"))["attachments"]
    with client.account.watch():  # takes one of the two connections there are
        told = await asyncio.wait_for(imported(client, blobId=part["blobId"]), 20)
    assert await client.blob(told["blobId"]) == inner


@pytest.mark.checklist("R04")
async def test_the_same_message_is_another_email(
    client: Client, put: Put, dovecot: Dovecot, mailuser: User
) -> None:
    blob_id = put(mail(1))
    date = "2020-01-01T00:00:00Z"
    first = await imported(client, blobId=blob_id, receivedAt=date)
    second = await imported(client, blobId=blob_id, receivedAt=date, keywords={"$flagged": True})
    third = await imported(client, blobId=first["blobId"], receivedAt=date)
    assert len({first["id"], second["id"], third["id"]}) == 3
    emails = await client.emails([first["id"], second["id"]], ["keywords", "threadId"])
    assert [email["keywords"] for email in emails] == [{}, {"$flagged": True}]
    assert emails[0]["threadId"] == emails[1]["threadId"]
    assert len(on_server(dovecot, mailuser)) == 3


@pytest.mark.checklist("R04")
@pytest.mark.parametrize("name", ["cyrus", "no guids"])
async def test_where_equal_messages_can_not_be_two_emails_the_second_is_refused(
    name: str,
    connect: Connect,
    put: Put,
    cyrus: Cyrus,
    start_dovecot: Callable[..., Dovecot],
) -> None:
    server: Any = cyrus if name == "cyrus" else start_dovecot(extra="imap_id_send = name other")
    user = server.add_user()
    client = await connect(server, user)
    inbox = (await client.paths())["Inbox"]
    email = {
        "blobId": put(mail(1)),
        "mailboxIds": {inbox: True},
        "receivedAt": "2020-01-01T00:00:00Z",
    }
    nameless = {**email, "blobId": put(b"Subject: x\r\n\r\nOne\r\n")}
    other = {**email, "blobId": put(b"Subject: x\r\n\r\nTwo\r\n")}
    answer = await client.call(
        "Email/import",
        emails={"a": email, "b": email, "c": nameless, "d": nameless, "e": other},
    )
    created = answer["created"]
    assert created.keys() == {"a", "c", "e"}
    refused = {id_: (e["type"], e["existingId"]) for id_, e in answer["notCreated"].items()}
    assert refused == {
        "b": ("alreadyExists", created["a"]["id"]),
        "d": ("alreadyExists", created["c"]["id"]),
    }
    again = await client.call("Email/import", emails={"a": email})
    assert again["notCreated"]["a"]["existingId"] == created["a"]["id"]
    assert again["oldState"] == again["newState"] == answer["newState"]
    assert len(on_server(server, user)) == 3


# --- what is mended, and what is not --------------------------------------------------------------


@pytest.mark.checklist("R05")
@pytest.mark.parametrize("name", ["dovecot", "cyrus"])
@pytest.mark.parametrize(
    ("octets", "kept"),
    [
        (b"Subject: a\nTo: b\n\nc\n", b"Subject: a\r\nTo: b\r\n\r\nc\r\n"),
        (b"Subject: a\r\n\r\nb\0c\r\n", b"Subject: a\r\n\r\nbc\r\n"),
        (b"Subject: a\r\n\r\nb\rc\xe4\xff\r\n", b"Subject: a\r\n\r\nb\rc\xe4\xff\r\n"),
    ],
)
async def test_octets_that_no_server_takes_are_mended(
    name: str,
    octets: bytes,
    kept: bytes,
    request: pytest.FixtureRequest,
    connect: Connect,
    put: Put,
) -> None:
    server = request.getfixturevalue(name)
    user = server.add_user()
    client = await connect(server, user)
    told = await imported(client, blobId=put(octets))
    assert told["size"] == len(kept)
    assert await client.blob(told["blobId"]) == kept
    assert on_server(server, user) == [kept]


@pytest.mark.checklist("R05")
@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0",
        b"No message, but a text.\r\nOf two lines.\r\n",
        b"Subject: x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\1\2",
    ],
)
async def test_what_is_no_message_is_refused(client: Client, put: Put, octets: bytes) -> None:
    told = await imported(client, blobId=put(octets))
    assert told["type"] == "invalidEmail"
    assert await client.query() == []


@pytest.mark.checklist("R05")
async def test_what_the_server_finds_to_be_no_message_is_refused(
    connect: Connect, put: Put, cyrus: Cyrus
) -> None:
    """Cyrus takes no header with a line that is none of a field."""
    client = await connect(cyrus, cyrus.add_user())
    told = await imported(client, blobId=put(b"Subject: x\r\nno field\r\n\r\nbody\r\n"))
    assert told["type"] == "invalidEmail"
    assert await client.query() == []


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.checklist("R02")
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("blobId", [None, 5, "", "uNone", "mNone", "pNone", "x" * 300]),
        ("mailboxIds", [None, {}, [], "x", {"x": True}, {"#x": True}, {"INBOX": False}]),
        ("keywords", [None, [], "x", {"a b": True}, {"": True}, {"x" * 256: True}, {"a": False}]),
        ("keywords", [{"a": 1}, {"\\Seen": True}, {"a\r\nb": True}, {"\u00e4": True}]),
        ("receivedAt", [None, "", 5, "2020-01-01", "2020-13-01T00:00:00Z", "1950-01-01T00:00:00Z"]),
        ("subject", ["x"]),
    ],
)
async def test_invalid_properties_are_named(
    client: Client, put: Put, name: str, values: list[Any]
) -> None:
    good = {"blobId": put(mail(1))}
    for value in values:
        told = await imported(client, **{**good, name: value})
        assert (told["type"], told["properties"]) == ("invalidProperties", [name]), value
    assert await client.query() == []


@pytest.mark.checklist("R06")
async def test_another_state_stops_all_of_it(client: Client, put: Put) -> None:
    inbox = (await client.paths())["Inbox"]
    emails = {"a": {"blobId": put(mail(1)), "mailboxIds": {inbox: True}}}
    with pytest.raises(Refused) as refused:
        await client.call("Email/import", ifInState="other", emails=emails)
    assert refused.value.type == "stateMismatch"
    assert await client.query() == []


async def test_each_message_is_imported_or_not_by_itself(client: Client, put: Put) -> None:
    inbox = (await client.paths())["Inbox"]
    good = {"mailboxIds": {inbox: True}}
    emails = {
        "a": {**good, "blobId": put(mail(1))},
        "b": {**good, "blobId": "uNone"},
        "c": {**good, "blobId": put(mail(2))},
        "d": {"blobId": put(mail(3))},
    }
    answer = await client.call("Email/import", emails=emails)
    assert answer["created"].keys() == {"a", "c"}
    assert answer["notCreated"].keys() == {"b", "d"}
    assert len(await client.query()) == 2


@pytest.mark.parametrize("emails", [None, [], {"a": 5}, {"not an id": {}}])
async def test_arguments_are_checked(client: Client, emails: Any) -> None:
    with pytest.raises(Refused) as refused:
        await client.call("Email/import", emails=emails)
    assert refused.value.type == "invalidArguments"


async def test_there_is_a_limit_to_what_is_imported_at_once(client: Client) -> None:
    with pytest.raises(Refused) as refused:
        await client.call("Email/import", emails={f"a{n}": {} for n in range(1001)})
    assert refused.value.type == "requestTooLarge"


@pytest.mark.checklist("R06")
async def test_what_does_not_fit_is_over_quota(
    connect: Connect, put: Put, start_dovecot: Callable[..., Dovecot]
) -> None:
    server = start_dovecot(
        extra="mail_plugins = quota\nplugin {\n  quota = count:User\n  quota_vsizes = yes\n"
        "  quota_rule = *:storage=20k\n  quota_grace = 0\n}"
    )
    user = server.add_user()
    client = await connect(server, user)
    inbox = (await client.paths())["Inbox"]
    emails = {
        "small": {"blobId": put(mail(1)), "mailboxIds": {inbox: True}},
        "large": {"blobId": put(mail(2, body="x\r\n" * 20_000)), "mailboxIds": {inbox: True}},
    }
    answer = await client.call("Email/import", emails=emails)
    assert answer["created"].keys() == {"small"}
    assert answer["notCreated"]["large"]["type"] == "overQuota"
    assert on_server(server, user) == [mail(1)]


async def test_a_mailbox_that_takes_no_mail_is_forbidden(
    connect: Connect, put: Put, start_dovecot: Callable[..., Dovecot]
) -> None:
    """RFC 4314: without the right to insert."""
    server = start_dovecot(acl=True)
    user = server.add_user()
    server.create(user, "Closed")
    with server.imap(user) as imap:
        imaplib.Commands.setdefault("SETACL", ("AUTH", "SELECTED"))
        assert imap.setacl("Closed", user.username, "lrswtexka")[0] == "OK"
    client = await connect(server, user)
    closed = (await client.paths())["Closed"]
    told = await imported(client, blobId=put(mail(1)), mailboxIds={closed: True})
    assert told["type"] == "forbidden"
    assert on_server(server, user, "Closed") == []
