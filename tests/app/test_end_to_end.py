"""RFC 8620, RFC 8621: the whole gateway, from HTTP to a real IMAP server and back."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.ext.blob import BLOB
from gateway.ext.quota import QUOTA_CAPABILITY
from gateway.jmap.call import CORE, WEBSOCKET
from gateway.obs import log
from tests.app.harness import MAIL, Client, client_of, settings
from tests.servers.dovecot import Dovecot, User

LETTER = (
    b"From: Ann <ann@example.test>\r\nTo: Bob <bob@example.test>\r\n"
    b"Subject: canary-subject\r\nMessage-ID: <1@example.test>\r\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nHello\xff\r\n.\r\n"
)


@pytest.fixture
async def client(dovecot: Dovecot, mailuser: User, tmp_path: Path) -> AsyncIterator[Client]:
    """Give a client of a new gateway in front of `dovecot`, for a user with one message."""
    dovecot.append(mailuser, "INBOX", LETTER)
    async with client_of(settings(dovecot, tmp_path), mailuser) as client:
        yield client


@pytest.mark.checklist("B01", "B04", "B05", "B06", "B07", "B13", "C10")
async def test_login_gives_the_session_and_the_api(client: Client, mailuser: User) -> None:
    session = await client.session()
    assert session["username"] == mailuser.username
    [account] = session["accounts"].values()
    assert account["name"] == mailuser.username
    assert set(session["capabilities"]) == {
        CORE,
        WEBSOCKET,
        MAIL,
        BLOB,
        QUOTA_CAPABILITY,
    }
    assert set(account["accountCapabilities"]) == {MAIL, BLOB}
    assert account["accountCapabilities"][MAIL]["emailQuerySortOptions"]
    response = await client.http.post(
        session["apiUrl"],
        json={"using": [MAIL], "methodCalls": [["Core/echo", {"ä": [None]}, "0"]]},
        headers=client.headers,
    )
    assert await response.json() == {
        "methodResponses": [["Core/echo", {"ä": [None]}, "0"]],
        "sessionState": session["state"],
    }


async def test_inbox_in_one_request(client: Client) -> None:
    """RFC 8620 §3.7: the ids of one call are the arguments of the next."""
    await client.session()
    mailboxes = (await client.call("Mailbox/get", ids=None))["list"]
    [inbox] = [mailbox for mailbox in mailboxes if mailbox["role"] == "inbox"]
    assert inbox["totalEmails"] == 1
    account = {"accountId": client.account_id}
    response = await client.post(
        ["Email/query", {**account, "filter": {"inMailbox": inbox["id"]}}, "q"],
        [
            "Email/get",
            {
                **account,
                "#ids": {"resultOf": "q", "name": "Email/query", "path": "/ids"},
                "properties": ["subject", "from", "size", "blobId"],
            },
            "g",
        ],
    )
    [_, [name, answer, _]] = (await response.json())["methodResponses"]
    assert name == "Email/get"
    [email] = answer["list"]
    assert email["subject"] == "canary-subject"
    assert email["from"] == [{"name": "Ann", "email": "ann@example.test"}]
    assert email["size"] == len(LETTER)


@pytest.mark.checklist("J08", "J10")
async def test_message_is_downloaded_octet_by_octet(client: Client) -> None:
    session = await client.session()
    [email_id] = (await client.call("Email/query"))["ids"]
    got = await client.call("Email/get", ids=[email_id], properties=["blobId"])
    url = session["downloadUrl"]
    for name, value in {
        "accountId": client.account_id,
        "blobId": got["list"][0]["blobId"],
        "name": "m.eml",
        "type": "message/rfc822",
    }.items():
        url = url.replace(f"{{{name}}}", value)
    response = await client.http.get(url, headers=client.headers)
    assert response.status == 200
    assert response.headers["Content-Type"] == "message/rfc822"
    assert await response.read() == LETTER


@pytest.mark.checklist("J09")
async def test_other_users_blobs_do_not_exist(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """Threat R10: neither under the other's account id nor under one's own."""
    await client.session()
    [email_id] = (await client.call("Email/query"))["ids"]
    got = await client.call("Email/get", ids=[email_id], properties=["blobId"])
    blob_id = got["list"][0]["blobId"]
    thief = Client(client.http, client.url, dovecot.add_user())
    await thief.session()
    for account_id in (client.account_id, thief.account_id):
        response = await thief.get(f"/jmap/download/{account_id}/{blob_id}/x?type=a/b")
        assert response.status == 404
    response = await thief.post(["Email/query", {"accountId": client.account_id}, "0"])
    [[_, error, _]] = (await response.json())["methodResponses"]
    assert error["type"] == "accountNotFound"


@pytest.mark.parametrize("change", [{"password": "wrong"}, {"username": "nobody@example.test"}])
async def test_wrong_credentials(client: Client, mailuser: User, change: dict[str, str]) -> None:
    stranger = Client(client.http, client.url, replace(mailuser, **change))
    response = await stranger.get("/.well-known/jmap")
    assert response.status == 401
    assert response.headers["Content-Type"] == "application/problem+json"


async def test_password_of_any_characters(dovecot: Dovecot, tmp_path: Path) -> None:
    """RFC 7617 §2.1: charset UTF-8; RFC 9051 §4.3 on what IMAP wants quoted, or as a literal."""
    user = dovecot.add_user(password='päß "w\\ört€ {3+}%')
    async with client_of(settings(dovecot, tmp_path), user) as client:
        assert (await client.session())["username"] == user.username


async def test_server_that_is_down_is_told_as_such(
    start_dovecot: Callable[..., Dovecot], tmp_path: Path
) -> None:
    """And when it is back, so is the mail."""
    dovecot = start_dovecot()
    user = dovecot.add_user()
    dovecot.append(user, "INBOX", LETTER)
    async with client_of(settings(dovecot, tmp_path), user) as client:
        dovecot.stop()
        response = await client.get("/.well-known/jmap")
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
        dovecot.start()
        before = await client.call("Email/query")
        dovecot.stop()
        dovecot.start()
        assert await client.call("Email/query") == before


async def test_restart_keeps_all_ids(dovecot: Dovecot, mailuser: User, tmp_path: Path) -> None:
    """RFC 8620 §1.6.3: with its store or without."""
    dovecot.append(mailuser, "INBOX", LETTER)
    answers = []
    for directory in ("a", "a", "b"):
        config = settings(dovecot, tmp_path / directory)
        async with client_of(config, mailuser) as client:
            await client.session()
            mailboxes = (await client.call("Mailbox/get", ids=None))["list"]
            answers.append(
                (
                    client.account_id,
                    sorted(mailbox["id"] for mailbox in mailboxes),
                    (await client.call("Email/query"))["ids"],
                )
            )
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.threat("R29")
async def test_log_has_neither_secrets_nor_mail(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    """Threat R29, at the level that is the default."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    user = dovecot.add_user(password="canary-password")
    dovecot.append(user, "INBOX", LETTER)
    try:
        with (tmp_path / "log").open("w") as stream:
            log.setup("info", "json", stream)
            async with client_of(settings(dovecot, tmp_path), user) as client:
                await client.session()
                found = await client.call("Email/query", filter={"hasKeyword": "canary-keyword"})
                assert found["ids"] == []
                [email_id] = (await client.call("Email/query"))["ids"]
                got = await client.call("Email/get", ids=[email_id, "canary-id"])
                assert got["list"][0]["subject"] == "canary-subject"
                wrong = Client(client.http, client.url, replace(user, password="canary-wrong"))
                await wrong.get("/.well-known/jmap")
                await client.get("/jmap/canary-path?canary-query=1")
    finally:
        root.handlers[:], root.level = handlers, level
    lines = (tmp_path / "log").read_text()
    assert [json.loads(line) for line in lines.splitlines()]
    assert "canary" not in lines
    assert user.username not in lines
    assert client.headers["Authorization"].partition(" ")[2] not in lines


@pytest.mark.threat("R13")
async def test_store_holds_no_password(client: Client, dovecot: Dovecot, tmp_path: Path) -> None:
    """Threat R13."""
    user = dovecot.add_user(password="canary-password")
    async with client_of(settings(dovecot, tmp_path / "store"), user) as other:
        await other.call("Email/query")
    files = [path.read_bytes() for path in (tmp_path / "store").iterdir()]
    assert files
    assert not any(b"canary" in octets for octets in files)


@pytest.mark.threat("R25")
@pytest.mark.parametrize("trusted", [True, False])
async def test_mail_server_is_verified(
    dovecot: Dovecot, mailuser: User, tmp_path: Path, trusted: bool
) -> None:
    """RFC 8314 §5, threat R25: a certificate of an unknown authority ends it, before the login."""
    environment = {"JMAP_GATEWAY_IMAP__URL": f"imaps://localhost:{dovecot.ports.imaps}"}
    if trusted:
        environment["JMAP_GATEWAY_IMAP__CA_FILE"] = str(dovecot.authority)
    config = settings(dovecot, tmp_path, **environment)
    async with client_of(config, mailuser) as client:
        assert (await client.get("/jmap/session")).status == (200 if trusted else 503)
