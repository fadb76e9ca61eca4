"""RFC 8621 §7.5: EmailSubmission/set, over a real IMAP server."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.ext.submission.sending import SendingClient
from tests.mail.client import Refused
from tests.servers.smtp import SmtpServer


@pytest.mark.checklist("U01", "U06", "U08", "U09")
async def test_a_message_is_sent_as_it_is_kept(sender: SendingClient, smtp: SmtpServer) -> None:
    email_id = await sender.draft()
    created = await sender.submit(email_id)
    (message,) = smtp.messages
    (email,) = await sender.emails([email_id], ["blobId", "threadId"])
    assert message.octets == await sender.blob(email["blobId"])
    assert message.recipients == ("rcpt@example.net",)
    assert message.mail.startswith(f"MAIL FROM:<{sender.address}>")
    shown = await sender.submission(created["id"])
    assert shown is not None
    assert {**shown, **created} == shown
    assert shown["identityId"] == sender.identity
    assert shown["emailId"] == email_id
    assert shown["threadId"] == email["threadId"]
    assert shown["undoStatus"] == "final"
    assert shown["deliveryStatus"] == {
        "rcpt@example.net": {
            "smtpReply": "250 2.1.5 recipient ok",
            "delivered": "unknown",
            "displayed": "unknown",
        }
    }
    assert shown["dsnBlobIds"] == shown["mdnBlobIds"] == []


async def test_the_user_signs_in(sender: SendingClient, smtp: SmtpServer) -> None:
    await sender.submit(await sender.draft())
    (login,) = [command for command in smtp.commands if command.startswith("AUTH")]
    mechanism, _, secret = login.removeprefix("AUTH ").partition(" ")
    assert mechanism == "PLAIN"
    assert base64.b64decode(secret).split(b"\0")[1].decode() == sender.account.username


@pytest.mark.checklist("U03", "U10")
async def test_bcc_is_sent_to_and_does_not_leave(sender: SendingClient, smtp: SmtpServer) -> None:
    email_id = await sender.draft(bcc=[{"email": "secret@example.net"}])
    await sender.submit(email_id)
    (message,) = smtp.messages
    assert message.recipients == ("rcpt@example.net", "secret@example.net")
    assert b"secret" not in message.octets
    assert b"Bcc" not in message.octets
    (kept,) = await sender.emails([email_id], ["bcc"])
    assert kept["bcc"] == [{"name": None, "email": "secret@example.net"}]


@pytest.mark.checklist("U02", "U04")
async def test_an_envelope_that_is_given_counts(sender: SendingClient, smtp: SmtpServer) -> None:
    envelope = {
        "mailFrom": {"email": sender.address, "parameters": {"RET": "HDRS"}},
        "rcptTo": [
            {"email": "one@example.net", "parameters": {"NOTIFY": "SUCCESS,FAILURE"}},
            {"email": "two@example.net", "parameters": None},
        ],
    }
    created = await sender.submit(await sender.draft(), envelope=envelope)
    assert smtp.messages[0].recipients == ("one@example.net", "two@example.net")
    assert f"ENVID={created['id']} RET=HDRS" in smtp.messages[0].mail
    assert (
        "RCPT TO:<one@example.net> ORCPT=rfc822;one@example.net NOTIFY=SUCCESS,FAILURE"
        in smtp.commands
    )
    shown = await sender.submission(created["id"])
    assert shown is not None
    assert shown["envelope"] == envelope


@pytest.mark.checklist("U05")
async def test_it_is_sent_when_it_was_created(sender: SendingClient) -> None:
    created = await sender.submit(await sender.draft())
    (email,) = await sender.emails(properties=["receivedAt"])
    assert email["receivedAt"] <= created["sendAt"]


@pytest.mark.checklist("U01", "U13")
@pytest.mark.parametrize("given", ["identityId", "emailId"])
async def test_what_is_not_there_can_not_be_sent(
    sender: SendingClient, smtp: SmtpServer, given: str
) -> None:
    error = await sender.submit(await sender.draft(), **{given: "nothing"})
    assert (error["type"], error["properties"]) == ("invalidProperties", [given])
    assert not smtp.messages


@pytest.mark.threat("R9")
@pytest.mark.checklist("U13", "U14")
@pytest.mark.parametrize(
    ("properties", "envelope", "error"),
    [
        ({"to": []}, None, "noRecipients"),
        ({}, {"rcptTo": []}, "noRecipients"),
        ({}, {"mailFrom": {"email": "boss@example.com"}, "rcptTo": [{"email": "a@b.example"}]},
         "forbiddenMailFrom"),
        ({"from": [{"email": "boss@example.com"}]}, None, "forbiddenFrom"),
        ({"from": None}, None, "invalidEmail"),
        ({}, {"rcptTo": [{"email": "a b@c"}]}, "invalidRecipients"),
        ({}, {"rcptTo": [{"email": "a@b.example>\r\nRCPT TO:<x@y.example"}]}, "invalidRecipients"),
        ({}, {"rcptTo": [{"email": "a@b.example", "parameters": {"X": "1"}}]}, "invalidProperties"),
        ({}, {"rcptTo": [{"email": "a@b.example", "parameters": {"NOTIFY": "A\r\nB"}}]},
         "invalidProperties"),
    ],
)  # fmt: skip
async def test_what_may_not_be_sent_is_refused_before_the_server_is_asked(
    sender: SendingClient,
    smtp: SmtpServer,
    properties: dict[str, Any],
    envelope: dict[str, Any] | None,
    error: str,
) -> None:
    refused = await sender.submit(await sender.draft(**properties), envelope=envelope)
    assert refused["type"] == error
    assert not smtp.messages
    assert not any(command.startswith("MAIL") for command in smtp.commands)
    assert (await sender.call("EmailSubmission/get", ids=None))["list"] == []


async def test_the_empty_return_path_is_nobody_s(sender: SendingClient, smtp: SmtpServer) -> None:
    envelope = {"mailFrom": {"email": ""}, "rcptTo": [{"email": "a@b.example"}]}
    await sender.submit(await sender.draft(), envelope=envelope)
    assert smtp.messages[0].mail.startswith("MAIL FROM:<>")


# --- what follows ---------------------------------------------------------------------------------


@pytest.mark.checklist("U12")
async def test_on_success_the_email_is_updated(sender: SendingClient) -> None:
    email_id = await sender.draft()
    await sender.call("Mailbox/set", create={"s": {"name": "Sent"}})
    paths = await sender.paths()
    answers = await sender.request(
        (
            "EmailSubmission/set",
            {
                "create": {"k": {"identityId": sender.identity, "emailId": email_id}},
                "onSuccessUpdateEmail": {
                    "#k": {
                        f"mailboxIds/{paths['Inbox']}": None,
                        f"mailboxIds/{paths['Sent']}": True,
                        "keywords/$draft": None,
                    },
                    "#other": {"keywords/$flagged": True},
                },
                "onSuccessDestroyEmail": None,
            },
        )
    )
    (name, first), (implied, second) = answers
    assert (name, implied) == ("EmailSubmission/set", "Email/set")
    assert list(first["created"]) == ["k"]
    assert second["updated"] == {email_id: None}
    (email,) = await sender.emails([email_id], ["mailboxIds", "keywords"])
    assert email["mailboxIds"] == {paths["Sent"]: True}
    assert email["keywords"] == {"$seen": True}


@pytest.mark.checklist("U12")
async def test_on_success_the_email_is_destroyed_and_what_failed_stays(
    sender: SendingClient, smtp: SmtpServer
) -> None:
    sent, stays = await sender.draft(subject="1"), await sender.draft(subject="2", to=[])
    answers = await sender.request(
        (
            "EmailSubmission/set",
            {
                "create": {
                    "a": {"identityId": sender.identity, "emailId": sent},
                    "b": {"identityId": sender.identity, "emailId": stays},
                },
                "onSuccessDestroyEmail": ["#a", "#b"],
            },
        )
    )
    assert [name for name, _ in answers] == ["EmailSubmission/set", "Email/set"]
    assert answers[0][1]["notCreated"]["b"]["type"] == "noRecipients"
    assert answers[1][1]["destroyed"] == [sent]
    assert await sender.query() == [stays]
    assert len(smtp.messages) == 1


@pytest.mark.checklist("U12")
async def test_one_call_follows_even_when_nothing_was_done(sender: SendingClient) -> None:
    answers = await sender.request(
        (
            "EmailSubmission/set",
            {
                "create": {"a": {"identityId": "x", "emailId": "y"}},
                "onSuccessUpdateEmail": {"#a": {"keywords/$draft": None}},
            },
        )
    )
    assert [name for name, _ in answers] == ["EmailSubmission/set", "Email/set"]
    assert answers[1][1]["updated"] is None


async def test_without_what_follows_there_is_one_answer(sender: SendingClient) -> None:
    wanted = {"identityId": sender.identity, "emailId": await sender.draft()}
    answers = await sender.request(("EmailSubmission/set", {"create": {"a": wanted}}))
    assert len(answers) == 1


async def test_an_email_made_in_the_same_request_is_sent(
    sender: SendingClient, smtp: SmtpServer
) -> None:
    inbox = (await sender.paths())["Inbox"]
    email = {
        "mailboxIds": {inbox: True},
        "from": [{"email": sender.address}],
        "to": [{"email": "ann@example.net"}],
        "bodyStructure": {"partId": "1", "type": "text/plain"},
        "bodyValues": {"1": {"value": "hello"}},
    }
    answers = await sender.request(
        ("Email/set", {"create": {"draft": email}}),
        (
            "EmailSubmission/set",
            {"create": {"s": {"identityId": sender.identity, "emailId": "#draft"}}},
        ),
    )
    assert answers[1][1]["created"]["s"]["undoStatus"] == "final"
    assert smtp.messages[0].recipients == ("ann@example.net",)


@pytest.mark.checklist("U11")
async def test_what_was_sent_is_remembered_when_the_email_is_gone(sender: SendingClient) -> None:
    email_id = await sender.draft()
    created = await sender.submit(email_id)
    await sender.call("Email/set", destroy=[email_id])
    shown = await sender.submission(created["id"])
    assert shown is not None
    assert shown["emailId"] == email_id


# --- update and destroy ---------------------------------------------------------------------------


@pytest.mark.checklist("U07")
async def test_what_has_left_can_not_be_taken_back(sender: SendingClient) -> None:
    id_ = (await sender.submit(await sender.draft()))["id"]
    for value, error in (("canceled", "cannotUnsend"), ("pending", "invalidProperties")):
        answer = await sender.call("EmailSubmission/set", update={id_: {"undoStatus": value}})
        assert answer["notUpdated"][id_]["type"] == error
    for name in ("sendAt", "emailId", "deliveryStatus"):
        answer = await sender.call("EmailSubmission/set", update={id_: {name: None}})
        assert answer["notUpdated"][id_]["type"] == "invalidProperties"


async def test_it_can_be_forgotten(sender: SendingClient) -> None:
    id_ = (await sender.submit(await sender.draft()))["id"]
    answer = await sender.call("EmailSubmission/set", destroy=[id_, "x"])
    assert answer["destroyed"] == [id_]
    assert answer["notDestroyed"]["x"]["type"] == "notFound"
    assert await sender.submission(id_) is None


async def test_a_state_that_is_not_the_latest_stops_it(
    sender: SendingClient, smtp: SmtpServer
) -> None:
    wanted = {"identityId": sender.identity, "emailId": await sender.draft()}
    with pytest.raises(Refused) as caught:
        await sender.call("EmailSubmission/set", ifInState="x", create={"s": wanted})
    assert caught.value.type == "stateMismatch"
    assert not smtp.messages


# --- get, changes, query --------------------------------------------------------------------------


@pytest.mark.checklist("U16")
async def test_changes_tell_what_came_and_went(sender: SendingClient) -> None:
    state = (await sender.call("EmailSubmission/get", ids=[]))["state"]
    first = (await sender.submit(await sender.draft(subject="1")))["id"]
    second = (await sender.submit(await sender.draft(subject="2")))["id"]
    changes = await sender.call("EmailSubmission/changes", sinceState=state)
    assert changes["created"] == [first, second]
    await sender.call("EmailSubmission/set", destroy=[first])
    later = await sender.call("EmailSubmission/changes", sinceState=changes["newState"])
    assert (later["created"], later["destroyed"]) == ([], [first])
    with pytest.raises(Refused) as caught:
        await sender.call("EmailSubmission/changes", sinceState="x")
    assert caught.value.type == "cannotCalculateChanges"


@pytest.mark.checklist("U15", "U16")
async def test_queries_find_and_sort(sender: SendingClient) -> None:
    emails = [await sender.draft(subject="1"), await sender.draft(subject="2")]
    ids = [(await sender.submit(email_id))["id"] for email_id in emails]
    shown = [await sender.submission(id_) for id_ in ids]
    assert shown[0] is not None

    async def found(filter_: Any, *sort: str) -> list[str]:
        sort_ = [{"property": each, "isAscending": True} for each in sort]
        answer = await sender.call("EmailSubmission/query", filter=filter_, sort=sort_)
        assert answer["canCalculateChanges"] is True
        return list(answer["ids"])

    assert await found(None) == ids
    assert await found({"emailIds": [emails[1]]}) == ids[1:]
    assert await found({"threadIds": [shown[0]["threadId"]]}) == ids[:1]
    assert await found({"identityIds": [sender.identity]}) == ids
    assert await found({"identityIds": ["x"]}) == []
    assert await found({"undoStatus": "final"}) == ids
    assert await found({"undoStatus": "pending"}) == []
    assert await found({"after": shown[0]["sendAt"], "before": "2999-01-01T00:00:00Z"}) == ids
    assert await found({"before": "2020-01-01T00:00:00Z"}) == []
    assert await found({"operator": "NOT", "conditions": [{"emailIds": emails[:1]}]}) == ids[1:]
    assert await found(None, "emailId") == [id_ for _, id_ in sorted(zip(emails, ids, strict=True))]
    for name in ("sentAt", "sendAt", "threadId"):
        assert sorted(await found(None, name)) == sorted(ids)


@pytest.mark.checklist("U16")
async def test_query_changes_tell_the_difference(sender: SendingClient) -> None:
    asked = {"filter": {"undoStatus": "final"}}
    before = await sender.call("EmailSubmission/query", **asked)
    id_ = (await sender.submit(await sender.draft()))["id"]
    changes = await sender.call(
        "EmailSubmission/queryChanges", sinceQueryState=before["queryState"], **asked
    )
    assert changes["added"] == [{"id": id_, "index": 0}]
    await sender.call("EmailSubmission/set", destroy=[id_])
    changes = await sender.call(
        "EmailSubmission/queryChanges", sinceQueryState=changes["newQueryState"], **asked
    )
    assert (changes["added"], changes["removed"]) == ([], [id_])
