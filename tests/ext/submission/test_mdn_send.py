"""RFC 9007 §2.1: MDN/send, over a real IMAP server and a submission server that obeys."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.ext import mdn_send
from gateway.ext.mdn import MDN
from gateway.ext.mdn_create import NewMdn
from gateway.ext.mdn_outgoing import Outgoing, outgoing
from gateway.ext.registry import account_capabilities, session_capabilities
from gateway.ext.submission.addresses import AddressBook
from gateway.ext.submission.types import SUBMISSION
from gateway.imap.errors import ConnectionLost
from gateway.jmap.errors import SetError
from gateway.mime import disposition, reports
from gateway.mime.headers import convenience
from gateway.sync.account import Account
from gateway.sync.records import Kept
from tests.ext.submission.sending import SendingClient
from tests.mail.client import Refused
from tests.mail.messages import mail
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.smtp import SmtpServer, hang_up, say

ASKING = ("Disposition-Notification-To: Jane <jane@example.test>",)
TOLD = {"actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "displayed"}
KEYWORD = {"#k": {"keywords/$mdnsent": True}}


@pytest.fixture
def sender(sender: SendingClient) -> SendingClient:
    """Give a client that uses the capability."""
    sender.using.append(MDN)
    sender.capabilities |= {MDN}
    return sender


@pytest.fixture
async def email_id(sender: SendingClient, dovecot: Dovecot, mailuser: User) -> str:
    """Give the id of an Email that asks for a notification."""
    dovecot.append(mailuser, "INBOX", mail("asking", fields=ASKING))
    (id_,) = await sender.query()
    return id_


async def send(
    client: SendingClient, email_id: str, update: Any = KEYWORD, **properties: Any
) -> list[tuple[str, dict[str, Any]]]:
    """The responses to an MDN/send."""
    mdn = {"forEmailId": email_id, "disposition": TOLD, **properties}
    arguments = {"identityId": client.identity, "send": {"k": mdn}, "onSuccessUpdateEmail": update}
    return await client.request(("MDN/send", arguments))


async def refusal(client: SendingClient, email_id: str, **properties: Any) -> dict[str, Any]:
    """The SetError of one that is not sent."""
    ((name, answer),) = await send(client, email_id, **properties)
    assert (name, answer["sent"]) == ("MDN/send", None)
    error: dict[str, Any] = answer["notSent"]["k"]
    return error


async def keywords(client: SendingClient, email_id: str) -> set[str]:
    """Of an Email, as of now."""
    (email,) = await client.emails([email_id], ["keywords"])
    return set(email["keywords"])


async def test_a_notification_is_sent_and_the_email_has_the_keyword(
    sender: SendingClient, smtp: SmtpServer, email_id: str
) -> None:
    responses = await send(sender, email_id, reportingUA="Foomail 97.1")
    (name, sent), (implied, updated) = responses
    assert (name, implied) == ("MDN/send", "Email/set")
    assert sent["notSent"] is None
    assert sent["sent"]["k"] == {
        "subject": "Disposition notification: A greeting",
        "textBody": sent["sent"]["k"]["textBody"],
        "includeOriginalMessage": False,
        "mdnGateway": None,
        "originalRecipient": None,
        "finalRecipient": f"rfc822; {sender.address}",
        "originalMessageId": "<asking@example.test>",
        "error": None,
        "extensionFields": None,
    }
    assert updated["updated"] == {email_id: None}
    assert await keywords(sender, email_id) == {"$mdnsent"}
    (message,) = smtp.messages
    assert message.mail.startswith("MAIL FROM:<> ")
    assert message.recipients == ("jane@example.test",)
    report = reports.parse(message.octets)
    assert report is not None
    header = convenience(report.header)
    assert header["from"] == [{"name": None, "email": sender.address}]
    assert header["to"] == [{"name": None, "email": "jane@example.test"}]
    told = disposition.of_report(report)
    assert told is not None
    assert (told.type, told.reporting_ua) == ("displayed", "Foomail 97.1")
    assert told.original_message_id == "<asking@example.test>"


async def test_no_second_one_is_sent(
    sender: SendingClient, smtp: SmtpServer, email_id: str
) -> None:
    await send(sender, email_id)
    assert (await refusal(sender, email_id))["type"] == "mdnAlreadySent"
    # Nor if somebody takes the keyword away.
    await sender.call("Email/set", update={email_id: {"keywords/$mdnsent": None}})
    assert (await refusal(sender, email_id))["type"] == "mdnAlreadySent"
    assert len(smtp.messages) == 1
    assert [each.split(" ")[0] for each in smtp.commands].count("MAIL") == 1


async def test_of_several_at_once_one_is_sent(
    sender: SendingClient, smtp: SmtpServer, email_id: str
) -> None:
    answers = await asyncio.gather(*(send(sender, email_id) for _ in range(3)))
    outcomes = [answer[0][1]["notSent"] for answer in answers]
    assert outcomes.count(None) == 1
    assert {each["k"]["type"] for each in outcomes if each} == {"mdnAlreadySent"}
    mdn = {"forEmailId": email_id, "disposition": TOLD}
    update = {f"#{name}": KEYWORD["#k"] for name in "ab"}
    arguments = {"identityId": sender.identity, "send": {"a": mdn, "b": mdn}}
    arguments["onSuccessUpdateEmail"] = update
    ((_, answer),) = await sender.request(("MDN/send", arguments))
    assert len(answer["notSent"]) == 2
    assert len(smtp.messages) == 1


@pytest.mark.parametrize("step", ["MAIL", "DATA", "end"])
async def test_one_that_was_refused_may_be_sent_later(
    sender: SendingClient, smtp: SmtpServer, email_id: str, step: str
) -> None:
    smtp.script.steps[step] = say("451 4.3.0 not now")
    assert (await refusal(sender, email_id))["type"] == "serverUnavailable"
    assert await keywords(sender, email_id) == set()
    del smtp.script.steps[step]
    await send(sender, email_id)
    assert await keywords(sender, email_id) == {"$mdnsent"}
    assert len(smtp.messages) == 1


async def test_a_server_that_takes_nothing_from_nobody_forbids_it(
    sender: SendingClient, smtp: SmtpServer, email_id: str
) -> None:
    smtp.script.steps["MAIL"] = say("553 5.7.1 sender address rejected")
    assert (await refusal(sender, email_id))["type"] == "forbidden"


async def test_one_of_which_nobody_knows_whether_it_was_taken_is_not_sent_again(
    sender: SendingClient, smtp: SmtpServer, email_id: str
) -> None:
    """RFC 8098 §2.1: MUST NOT issue more than one."""
    smtp.script.steps["end"] = hang_up(takes=True)
    (_, sent), _ = await send(sender, email_id)
    assert sent["notSent"] is None
    assert await keywords(sender, email_id) == {"$mdnsent"}
    assert len(smtp.messages) == 1


async def test_the_original_may_go_back(
    sender: SendingClient, smtp: SmtpServer, email_id: str
) -> None:
    await send(sender, email_id, includeOriginalMessage=True)
    report = reports.parse(smtp.messages[0].octets)
    assert report is not None
    assert report.original == mail("asking", fields=ASKING)


@pytest.mark.parametrize(
    ("properties", "type_"),
    [
        ({"forEmailId": "Enobody"}, "notFound"),
        ({"forEmailId": "#nothing"}, "notFound"),
        ({"finalRecipient": "rfc822; victim@example.net"}, "forbiddenFrom"),
        ({"subject": "x\r\nBcc: victim@example.net"}, "invalidProperties"),
        ({"disposition": {**TOLD, "sendingMode": "mdn-sent-automatically"}}, "forbidden"),
    ],
)
async def test_what_may_not_be_sent_is_not(
    sender: SendingClient,
    smtp: SmtpServer,
    email_id: str,
    properties: dict[str, Any],
    type_: str,
) -> None:
    assert (await refusal(sender, email_id, **properties))["type"] == type_
    assert (smtp.messages, await keywords(sender, email_id)) == ([], set())


async def test_the_recipient_may_be_another_address_of_the_user(
    sender: SendingClient, smtp: SmtpServer, email_id: str
) -> None:
    (_, sent), _ = await send(sender, email_id, finalRecipient=sender.address.upper())
    assert "finalRecipient" not in sent["sent"]["k"]
    assert f"Final-Recipient: rfc822; {sender.address.upper()}".encode() in smtp.messages[0].octets


async def test_who_has_a_whole_domain_says_which_address(
    sender: SendingClient, smtp: SmtpServer, email_id: str
) -> None:
    sender.service.sending.identities._book = AddressBook(["*@example.org"], None)
    (identity,) = (await sender.call("Identity/get", ids=None))["list"]
    sender.identity = identity["id"]
    error = await refusal(sender, email_id)
    assert (error["type"], error["properties"]) == ("invalidProperties", ["finalRecipient"])
    assert (await refusal(sender, email_id, finalRecipient="x@y.test"))["type"] == "forbiddenFrom"
    await send(sender, email_id, finalRecipient="any@example.org")
    assert b"From: any@example.org\r\n" in smtp.messages[0].octets


async def test_what_fails_does_not_hide_what_was_sent(
    sender: SendingClient, smtp: SmtpServer, email_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_account: Account, mdn: NewMdn, author: Mapping[str, Any]) -> Outgoing:
        if mdn.subject == "b":
            raise ConnectionLost("gone")
        return await outgoing(sender.account, mdn, author)

    monkeypatch.setattr("gateway.ext.mdn_send.outgoing", fail)
    mdns = {k: {"forEmailId": email_id, "disposition": TOLD, "subject": k} for k in "ab"}
    update = {f"#{name}": KEYWORD["#k"] for name in mdns}
    arguments = {"identityId": sender.identity, "send": mdns, "onSuccessUpdateEmail": update}
    (_, answer), _ = await sender.request(("MDN/send", arguments))
    assert (list(answer["sent"]), answer["notSent"]["b"]["type"]) == (["a"], "serverUnavailable")
    assert await keywords(sender, email_id) == {"$mdnsent"}


@pytest.mark.parametrize(
    "update",
    [
        None,
        {},
        {"k": {"keywords/$mdnsent": True}},
        {"#other": {"keywords/$mdnsent": True}},
        {"#k": {}},
        {"#k": {"keywords/$mdnsent": None}},
        {"#k": {"keywords/$seen": True}},
        {"#k": {"keywords": {"$seen": True}}},
        {"#k": {"keywords": None}},
        {"#k": {"keywords": {"$mdnsent": True}, "keywords/$mdnsent": True}},
        {"#k": {"keywords/$mdnsent": True, "subject": "x"}},
    ],
)
async def test_the_keyword_must_be_set(
    sender: SendingClient, smtp: SmtpServer, email_id: str, update: Any
) -> None:
    """RFC 9007 §2.1: the server MUST reject an "MDN/send" that does not result in setting it."""
    ((name, error),) = await send(sender, email_id, update)
    assert (name, error["type"]) == ("error", "invalidArguments")
    assert smtp.messages == []


async def test_other_properties_may_be_set_along_with_it(
    sender: SendingClient, email_id: str
) -> None:
    await send(sender, email_id, {"#k": {"keywords": {"$mdnsent": True, "$seen": True}}})
    assert await keywords(sender, email_id) == {"$mdnsent", "$seen"}


async def test_calls_that_make_no_sense_are_refused(sender: SendingClient, email_id: str) -> None:
    with pytest.raises(Refused) as refused:
        await sender.call("MDN/send", identityId="Inobody", send={})
    assert refused.value.type == "invalidArguments"
    many: dict[str, Any] = {f"k{n}": {} for n in range(1001)}
    with pytest.raises(Refused) as refused:
        await sender.call("MDN/send", identityId=sender.identity, send=many)
    assert refused.value.type == "requestTooLarge"
    nothing = await sender.call("MDN/send", identityId=sender.identity, send={})
    assert (nothing["sent"], nothing["notSent"]) == (None, None)
    sender.using = [MDN]
    with pytest.raises(Refused) as refused:
        await sender.call("MDN/send", identityId=sender.identity, send={})
    assert refused.value.type == "unknownMethod"


async def test_the_capability_is_there_where_mail_can_be_sent(sender: SendingClient) -> None:
    """RFC 9007 §1.3: it stands for both methods."""
    account, service = sender.account, sender.service
    assert session_capabilities(account, service)[MDN] == {}
    assert account_capabilities(account, service)[MDN] == {}
    assert account_capabilities(account, service).keys() >= {MDN, SUBMISSION}
    assert MDN not in session_capabilities(account)
    assert MDN not in account_capabilities(account)


def test_what_left_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdn_send, "MAX_KEPT", 3)
    kept = Kept("epoch")
    for now in range(4):
        kept = mdn_send._begun(kept, f"E{now}", now)
    assert list(kept.records) == ["E1", "E2", "E3"]
    with pytest.raises(SetError) as refused:
        mdn_send._begun(kept, "E2", 4)
    assert refused.value.type == "mdnAlreadySent"
    kept = mdn_send._begun(kept, "E2000", mdn_send.KEPT_SECONDS + 2.5)
    assert list(kept.records) == ["E3", "E2000"]
