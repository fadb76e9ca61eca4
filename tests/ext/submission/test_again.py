"""RFC 8621 §7.5: a creation that comes again, since its answer was lost, sends nothing twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.helpers import encode_basic_auth

from gateway.app import running
from gateway.ext.submission.types import SUBMISSION
from gateway.mail.capability import MAIL
from tests.app.harness import settings
from tests.ext.submission.sending import SendingClient
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.smtp import SmtpServer


async def test_the_same_creation_is_sent_once(sender: SendingClient, smtp: SmtpServer) -> None:
    email_id = await sender.draft()
    first = await sender.submit(email_id)
    again = [await sender.submit(email_id) for _ in range(3)]
    assert {each["id"] for each in again} == {first["id"]}
    assert {each["undoStatus"] for each in again} == {"final"}
    assert len(smtp.messages) == 1


async def test_also_when_they_come_at_once(sender: SendingClient, smtp: SmtpServer) -> None:
    email_id = await sender.draft()
    created = await asyncio.gather(*(sender.submit(email_id) for _ in range(5)))
    assert len({each["id"] for each in created}) == 1
    assert len(smtp.messages) == 1


@pytest.mark.parametrize("other", ["creation id", "email", "recipients"])
async def test_another_one_is_sent(sender: SendingClient, smtp: SmtpServer, other: str) -> None:
    email_id = await sender.draft()
    await sender.submit(email_id)
    wanted: dict[str, Any] = {"identityId": sender.identity, "emailId": email_id}
    name = "s"
    if other == "creation id":
        name = "t"
    elif other == "email":
        wanted["emailId"] = await sender.draft(subject="another")
    else:
        wanted["envelope"] = {"rcptTo": [{"email": "other@example.net"}]}
    await sender.call("EmailSubmission/set", create={name: wanted})
    assert len(smtp.messages) == 2


async def test_what_was_forgotten_can_be_sent_again(
    sender: SendingClient, smtp: SmtpServer
) -> None:
    email_id = await sender.draft()
    first = await sender.submit(email_id)
    await sender.call("EmailSubmission/set", destroy=[first["id"]])
    await sender.submit(email_id)
    assert len(smtp.messages) == 2


@pytest.mark.parametrize(("connections", "sent"), [("one", 2), ("two", 1)])
async def test_a_whole_request_is_the_same_unless_the_first_answer_has_arrived(
    dovecot: Dovecot,
    mailuser: User,
    smtp: SmtpServer,
    tmp_path: Path,
    connections: str,
    sent: int,
) -> None:
    config = settings(
        dovecot,
        tmp_path,
        JMAP_GATEWAY_SMTP__URL=f"smtp://127.0.0.1:{smtp.port}",
        JMAP_GATEWAY_IDENTITIES__ADDRESSES="{local}@example.org",
    )
    login = encode_basic_auth(mailuser.username, mailuser.password, encoding="utf-8")
    async with (
        running(config) as url,
        aiohttp.ClientSession(headers={"Authorization": login}) as http,
        aiohttp.ClientSession(headers={"Authorization": login}) as other,
    ):
        async with http.get(f"{url}/jmap/session") as answer:
            account = (await answer.json())["primaryAccounts"][SUBMISSION]

        async def ask(session: aiohttp.ClientSession, *calls: Any) -> list[Any]:
            named = [[name, {"accountId": account, **args}, id_] for name, args, id_ in calls]
            body = {"using": [MAIL, SUBMISSION], "methodCalls": named}
            async with session.post(f"{url}/jmap/api", json=body) as answer:
                return [each[1] for each in (await answer.json())["methodResponses"]]

        identities, mailboxes = await ask(
            http, ["Identity/get", {"ids": None}, "0"], ["Mailbox/get", {"ids": None}, "1"]
        )
        email = {
            "mailboxIds": {mailboxes["list"][0]["id"]: True},
            "from": [{"email": identities["list"][0]["email"]}],
            "to": [{"email": "rcpt@example.net"}],
            "bodyStructure": {"partId": "1", "type": "text/plain"},
            "bodyValues": {"1": {"value": "the same"}},
        }
        submit = {"identityId": identities["list"][0]["id"], "emailId": "#d"}
        calls = (
            ["Email/set", {"create": {"d": email}}, "0"],
            ["EmailSubmission/set", {"create": {"s": submit}}, "1"],
        )
        first = (await ask(http, *calls))[1]["created"]["s"]["id"]
        second = (await ask(http if connections == "one" else other, *calls))[1]["created"]["s"]
        assert (second["id"] == first) == (sent == 1)
    assert len(smtp.messages) == sent
