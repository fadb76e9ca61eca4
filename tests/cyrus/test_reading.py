"""RFC 8621 §§3-5 on Cyrus: Emails, Threads, searches, downloads and previews."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.store.opening import open_store
from tests.app.harness import client_of, settings
from tests.cyrus.conftest import Connect
from tests.mail.client import Client, connected
from tests.mail.messages import RECEIVED, mail, reply
from tests.servers.cyrus import Cyrus
from tests.servers.mail_server import User

MIXED = (
    b"From: Ann <ann@example.test>\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\nMessage-ID: <m@x>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"See the caf\xc3\xa9.\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="a.bin"\r\n\r\nAAECAwQ=\r\n--b--\r\n'
)


def conversation(server: Cyrus) -> User:
    """A user with a thread over two mailboxes, and a message that is in none."""
    user = server.add_user()
    server.append(user, "INBOX", mail(1), ("\\Seen",), RECEIVED)
    server.append(user, "Sent", reply(2, 1))
    server.append(user, "INBOX", reply(3, 1), ("$Work",))
    server.append(user, "INBOX", MIXED)
    return user


@pytest.mark.checklist("N01", "N03")
async def test_an_email_is_read_as_it_was_written(connect: Connect, cyrus: Cyrus) -> None:
    """RFC 8621 §4.2."""
    user = cyrus.add_user()
    cyrus.append(user, "INBOX", MIXED, ("\\Flagged", "$Work"), RECEIVED)
    client = await connect(cyrus, user)
    email = await client.email(
        *("subject", "from", "keywords", "receivedAt", "size", "hasAttachment", "preview"),
        *("textBody", "attachments", "bodyValues", "blobId"),
        fetchTextBodyValues=True,
    )
    assert email["subject"] == "Café"
    assert email["from"] == [{"name": "Ann", "email": "ann@example.test"}]
    assert email["keywords"] == {"$flagged": True, "$work": True}
    assert email["receivedAt"] == "2024-02-29T12:30:15Z"
    assert email["size"] == len(MIXED)
    assert email["hasAttachment"]
    assert email["preview"] == "See the café."
    (text,) = email["textBody"]
    assert email["bodyValues"][text["partId"]]["value"] == "See the café."
    (attachment,) = email["attachments"]
    assert (attachment["name"], attachment["type"]) == ("a.bin", "application/octet-stream")
    assert await client.blob(attachment["blobId"]) == bytes(range(5))
    assert await client.blob(email["blobId"]) == MIXED


@pytest.mark.checklist("N02")
async def test_email_ids_are_those_of_the_server(connect: Connect, cyrus: Cyrus) -> None:
    """RFC 8474 §5.1: and one message in two mailboxes is one Email."""
    user = cyrus.add_user()
    cyrus.append(user, "INBOX", mail())
    with cyrus.imap(user) as imap:
        imap.select("INBOX")
        imap.uid("COPY", "1", "Archive")
        _, [row] = imap.uid("FETCH", "1", "(EMAILID)")
    given = re.search(rb"EMAILID \((\w+)\)", row)
    assert given is not None
    client = await connect(cyrus, user)
    (email,) = await client.emails(properties=["mailboxIds"])
    assert email["id"] == given[1].decode()
    paths = await client.paths()
    assert email["mailboxIds"] == {paths["Inbox"]: True, paths["Archive"]: True}


@pytest.mark.checklist("M01")
@pytest.mark.parametrize("conversations", [True, False])
async def test_threads_are_the_servers_where_it_has_them(
    conversations: bool, connect: Connect, start_cyrus: Callable[..., Cyrus]
) -> None:
    """RFC 8474 §5.2: THREADID may be NIL, of which Cyrus makes (NIL)."""
    server = start_cyrus(conversations=conversations)
    user = conversation(server)
    # Of another subject: to Cyrus a thread of its own, as RFC 5256 has it.
    server.append(user, "INBOX", reply(5, 1, subject="Another matter"))
    client = await connect(server, user)
    emails = await client.emails(properties=["threadId"])
    threads = await threads_of(client)
    answers = {threads[f"{n}@example.test"] for n in (1, 2, 3)}
    assert len(answers) == 1
    assert len(set(threads.values())) == 3
    (thread_id,) = answers
    got = await client.call("Thread/get", ids=[thread_id])
    members = {e["id"] for e in emails if e["threadId"] == thread_id}
    assert set(got["list"][0]["emailIds"]) == members
    assert await threads_of(await connect(server, user)) == threads, "also without the store"


async def test_threads_stay_of_one_kind_when_the_server_begins_to_have_them(
    connect: Connect, start_cyrus: Callable[..., Cyrus], tmp_path: Path
) -> None:
    """RFC 8621 §3: answers join the thread they are of, in an account that is known."""
    server = start_cyrus()
    user = conversation(server)
    store = open_store("memory://", b"x" * 32, tmp_path)
    async with connected(server, user, tmp_path, store) as client:
        before = await threads_of(client)
    server.stop()
    server.options = replace(server.options, conversations=True)
    server.start()
    server.append(user, "INBOX", reply(5, 1))
    async with connected(server, user, tmp_path, store) as client:
        after = await threads_of(client)
    assert after == before | {"5@example.test": before["1@example.test"]}


async def threads_of(client: Client) -> dict[str, str]:
    """Thread id of each Message-ID."""
    emails = await client.emails(properties=["threadId", "messageId"])
    return {email["messageId"][0]: email["threadId"] for email in emails}


@pytest.mark.checklist("P06")
@pytest.mark.parametrize("without", [(), ("ESEARCH", "SORT", "ESORT")])
async def test_queries_find_what_they_look_for(
    without: tuple[str, ...], connect: Connect, start_cyrus: Callable[..., Cyrus]
) -> None:
    """RFC 8621 §4.4.1: in header fields and texts, by mailbox, keyword and date."""
    server = start_cyrus(without=without)
    user = conversation(server)
    client = await connect(server, user)
    paths = await client.paths()
    emails = await client.emails(properties=["messageId"])
    by_id = {email["id"]: email["messageId"][0].partition("@")[0] for email in emails}
    for filter_, expected in (
        ({"inMailbox": paths["Inbox"]}, "13m"),
        ({"subject": "café"}, "m"),
        ({"from": "ann@example.test"}, "m"),
        ({"body": "café"}, "m"),
        ({"text": "Hello"}, "123"),
        ({"hasKeyword": "$work"}, "3"),
        ({"notKeyword": "$seen"}, "23m"),
        ({"before": "2024-03-01T00:00:00Z"}, "1"),
        ({"hasAttachment": True}, "m"),
        ({"header": ["References", "1@example.test"]}, "23"),
    ):
        found = await client.query(filter_)
        assert sorted(by_id[id_] for id_ in found) == sorted(expected), filter_
    newest = await client.query(sort=[{"property": "receivedAt", "isAscending": False}])
    assert by_id[newest[-1]] == "1"


async def test_first_answer_of_a_large_mailbox_needs_no_index(
    connect: Connect, cyrus: Cyrus
) -> None:
    """RFC 5256: the newest messages are asked of the server, which does not know PARTIAL."""
    user = cyrus.add_user()
    messages = [mail(number) for number in range(40)]
    with cyrus.imap(user) as imap:
        for octets in messages:
            imap.append("INBOX", "", "", octets)
    client = await connect(cyrus, user)
    inbox = (await client.paths())["Inbox"]
    newest = await client.query(
        {"inMailbox": inbox}, [{"property": "receivedAt", "isAscending": False}], limit=10
    )
    assert len(newest) == 10
    everything = await client.query({"inMailbox": inbox})
    assert set(newest) <= set(everything)
    assert len(everything) == 40


@pytest.mark.checklist("B04", "J08")
async def test_the_whole_gateway_in_front_of_cyrus(cyrus: Cyrus, tmp_path: Path) -> None:
    """RFC 8620 §§2, 3, 6.2: session, requests and a download over HTTP."""
    user = conversation(cyrus)
    async with client_of(settings(cyrus, tmp_path), user) as client:
        session = await client.session()
        mailboxes = (await client.call("Mailbox/get", ids=None))["list"]
        (inbox,) = (mailbox for mailbox in mailboxes if mailbox["role"] == "inbox")
        assert (inbox["totalEmails"], inbox["unreadEmails"]) == (3, 2)
        found = (await client.call("Email/query", filter={"subject": "café"}))["ids"]
        got = await client.call("Email/get", ids=found, properties=["blobId", "preview"])
        (email,) = got["list"]
        assert email["preview"] == "See the café."
        url = session["downloadUrl"]
        for name, value in {
            "accountId": client.account_id,
            "blobId": email["blobId"],
            "name": "m.eml",
            "type": "message/rfc822",
        }.items():
            url = url.replace(f"{{{name}}}", value)
        response = await client.http.get(url, headers=client.headers)
        assert response.status == 200
        assert await response.read() == MIXED
