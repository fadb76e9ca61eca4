"""RFC 2342, RFC 4314: users of a real server who share their mailboxes with others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tests.app.harness import Client
from tests.servers.mail_server import MailServer, User, expect_ok, quoted

SECONDS = 20.0

T = TypeVar("T")


def letter(subject: str) -> bytes:
    return (
        f"From: Ann <ann@example.test>\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject}@example.test>\r\n"
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nHello\r\n"
    ).encode()


def another_second() -> None:
    """Let the clock show another second: by that Dovecot sees that a file has changed."""
    time.sleep(1.01 - time.time() % 1)


def share(server: MailServer, owner: User, mailbox: str, who: str, rights: str) -> None:
    """Give somebody rights on a mailbox; without rights, take them away."""
    another_second()
    with server.imap(owner) as client:
        if rights:
            expect_ok(client.setacl(quoted(mailbox), quoted(who), rights))
        else:
            expect_ok(client.deleteacl(quoted(mailbox), quoted(who)))


async def accounts(client: Client) -> dict[str, tuple[str, bool]]:
    """{name: (id, isReadOnly)} of the accounts that others share."""
    session = await client.session()
    return {
        account["name"]: (id, account["isReadOnly"])
        for id, account in session["accounts"].items()
        if not account["isPersonal"]
    }


async def call(client: Client, account_id: str, method: str, **arguments: Any) -> dict[str, Any]:
    """Give the arguments of the response to a call on an account; {"error": type} if it fails."""
    response = await client.post([method, {"accountId": account_id, **arguments}, "0"])
    assert response.status == 200, await response.text()
    [[name, answer, _]] = (await response.json())["methodResponses"]
    if name == "error":
        return {"error": answer["type"]}
    assert isinstance(answer, dict)
    return answer


async def mailboxes(client: Client, account_id: str) -> dict[str, dict[str, Any]]:
    """The Mailboxes of an account by path, with `granted`: the rights there are."""
    listed = (await call(client, account_id, "Mailbox/get", ids=None))["list"]
    by_id = {mailbox["id"]: mailbox for mailbox in listed}

    def path(mailbox: dict[str, Any]) -> str:
        parent = mailbox["parentId"]
        return (path(by_id[parent]) + "/" if parent else "") + str(mailbox["name"])

    for mailbox in listed:
        mailbox["granted"] = {name for name, may in mailbox["myRights"].items() if may}
    return {path(mailbox): mailbox for mailbox in listed}


async def subjects(client: Client, account_id: str, **filter: str) -> list[str]:
    """Subjects of the Emails of an account, in order."""
    found = await call(client, account_id, "Email/query", filter=filter or None)
    got = await call(client, account_id, "Email/get", ids=found["ids"], properties=["subject"])
    return sorted(email["subject"] for email in got["list"])


async def until(look: Callable[[], Awaitable[T]], wanted: Callable[[T], bool]) -> T:
    """Look until it is so: Dovecot remembers for a second what somebody may do."""
    async with asyncio.timeout(SECONDS):
        while not wanted(found := await look()):
            await asyncio.sleep(0.1)
    return found
