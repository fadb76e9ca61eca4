"""RFC 8621 §4.7, RFC 8620 §5.4: Email/copy, on real servers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.sync.account import Account
from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.mail.messages import RECEIVED, mail
from tests.mail.test_email_import import on_server
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import MailServer, User

CREATED = {"id", "blobId", "threadId", "size"}


class Two:
    """A client with an account of its own, and one that is another's."""

    def __init__(self, server: MailServer, users: tuple[User, User], clients: list[Client]) -> None:
        self.server = server
        self.own, self.other = users
        self.client, self.others = clients
        self.client.accounts[self.others.account.id] = self.others.account

    async def copy(self, create: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        """Copy Emails of the client to the inbox of the other."""
        ((name, answer), *_) = await self.request(create, **arguments)
        if name == "error":
            raise Refused(answer)
        return answer

    async def request(
        self, create: dict[str, Any], **arguments: Any
    ) -> list[tuple[str, dict[str, Any]]]:
        """The responses to an Email/copy."""
        inbox = (await self.others.paths())["Inbox"]
        objects = {name: {"mailboxIds": {inbox: True}, **each} for name, each in create.items()}
        ids = {"fromAccountId": self.client.account.id, "accountId": self.others.account.id}
        return await self.client.request(
            ("Email/copy", {**ids, "create": objects, **arguments}),
        )

    def deliver(self, octets: bytes, *flags: str) -> None:
        """Put a message into the client's inbox."""
        self.server.append(self.own, "INBOX", octets, flags, RECEIVED)


async def two(connect: Connect, server: MailServer) -> Two:
    users = server.add_user(), server.add_user()
    return Two(server, users, [await connect(server, user) for user in users])


@pytest.fixture
async def pair(connect: Connect, dovecot: Dovecot) -> Two:
    """Give two accounts of one server."""
    return await two(connect, dovecot)


@pytest.mark.checklist("G03", "G08")
async def test_a_copy_is_the_original_unless_told_otherwise(pair: Two) -> None:
    pair.server.create(pair.other, "Work")
    pair.deliver(mail(1), "\\Seen", "Blue")
    pair.deliver(mail(2), "\\Flagged")
    first, second = await pair.client.query(sort=[{"property": "size"}, {"property": "subject"}])
    emails = await pair.client.emails([first, second], ["keywords"])
    if "$flagged" in emails[0]["keywords"]:
        first, second = second, first
    work = (await pair.others.paths())["Work"]
    other = {
        "id": second,
        "mailboxIds": {work: True},
        "keywords": {"$draft": True},
        "receivedAt": "2020-01-01T00:00:00Z",
    }
    before = (await pair.others.call("Email/get", ids=[]))["state"]
    answer = await pair.copy({"same": {"id": first}, "other": other}, ifInState=before)
    assert answer["oldState"] == before
    assert answer["notCreated"] is None
    created = answer["created"]
    assert [each.keys() for each in created.values()] == [CREATED, CREATED]
    wanted = ["keywords", "receivedAt", "mailboxIds", *CREATED]
    ids = [created["same"]["id"], created["other"]["id"]]
    same, changed = await pair.others.emails(ids, wanted)
    assert {name: same[name] for name in CREATED} == created["same"]
    assert same["keywords"] == {"$seen": True, "blue": True}
    assert datetime.fromisoformat(same["receivedAt"]) == RECEIVED.astimezone(UTC)
    assert changed["keywords"] == {"$draft": True}
    assert changed["receivedAt"] == "2020-01-01T00:00:00Z"
    assert changed["mailboxIds"] == {work: True}
    assert on_server(pair.server, pair.other) == [mail(1)]
    assert on_server(pair.server, pair.other, "Work") == [mail(2)]
    assert on_server(pair.server, pair.own) == [mail(1), mail(2)]
    state = (await pair.others.call("Email/get", ids=[]))["state"]
    assert answer["newState"] == state != before


@pytest.mark.checklist("G05")
async def test_originals_are_destroyed_when_they_are_copied(pair: Two) -> None:
    for number in (1, 2):
        pair.deliver(mail(number))
    first, second = await pair.client.query()
    answers = await pair.request(
        {"a": {"id": first}, "b": {"id": second, "mailboxIds": {"none": True}}},
        onSuccessDestroyOriginal=True,
    )
    assert [name for name, _ in answers] == ["Email/copy", "Email/set"]
    assert answers[0][1]["created"].keys() == {"a"}
    assert answers[0][1]["notCreated"]["b"]["type"] == "invalidProperties"
    assert answers[1][1]["destroyed"] == [first]
    assert await pair.client.query() == [second]
    assert len(await pair.others.query()) == 1


@pytest.mark.checklist("G05")
async def test_originals_stay_when_their_state_is_another(pair: Two) -> None:
    pair.deliver(mail(1))
    (id_,) = await pair.client.query()
    answers = await pair.request(
        {"a": {"id": id_}}, onSuccessDestroyOriginal=True, destroyFromIfInState="other"
    )
    assert answers[0][1]["created"].keys() == {"a"}
    assert (answers[1][0], answers[1][1]["type"]) == ("error", "stateMismatch")
    assert await pair.client.query() == [id_]


@pytest.mark.checklist("G02")
@pytest.mark.parametrize("name", ["ifInState", "ifFromInState"])
async def test_another_state_stops_all_of_it(pair: Two, name: str) -> None:
    pair.deliver(mail(1))
    (id_,) = await pair.client.query()
    with pytest.raises(Refused) as refused:
        await pair.copy({"a": {"id": id_}}, **{name: "other"})
    assert refused.value.type == "stateMismatch"
    assert await pair.others.query() == []


@pytest.mark.checklist("G07")
async def test_each_email_is_copied_or_not_by_itself(pair: Two) -> None:
    pair.deliver(mail(1))
    (id_,) = await pair.client.query()
    answer = await pair.copy(
        {
            "good": {"id": id_},
            "gone": {"id": "Enone"},
            "nowhere": {"id": id_, "mailboxIds": {}},
            "early": {"id": id_, "receivedAt": "1950-01-01T00:00:00Z"},
            "odd": {"id": id_, "keywords": {"a b": True}},
        }
    )
    assert answer["created"].keys() == {"good"}
    errors = {n: (e["type"], e.get("properties")) for n, e in answer["notCreated"].items()}
    assert errors == {
        "gone": ("notFound", None),
        "nowhere": ("invalidProperties", ["mailboxIds"]),
        "early": ("invalidProperties", ["receivedAt"]),
        "odd": ("invalidProperties", ["keywords"]),
    }
    assert len(await pair.others.query()) == 1


@pytest.mark.checklist("G08")
async def test_nothing_else_is_set_in_a_copy(pair: Two) -> None:
    pair.deliver(mail(1))
    (id_,) = await pair.client.query()
    answer = await pair.copy({"a": {"id": id_, "subject": "Another"}})
    assert answer["notCreated"]["a"]["type"] == "invalidProperties"
    assert answer["notCreated"]["a"]["properties"] == ["subject"]


@pytest.mark.checklist("G06")
async def test_two_copies_are_two_emails(pair: Two) -> None:
    pair.deliver(mail(1))
    (id_,) = await pair.client.query()
    answer = await pair.copy({"a": {"id": id_}, "b": {"id": id_}})
    assert answer["created"]["a"]["id"] != answer["created"]["b"]["id"]
    assert len(await pair.others.query()) == 2


@pytest.mark.checklist("G06")
async def test_where_they_can_not_be_two_the_second_is_refused(
    connect: Connect, start_dovecot: Callable[..., Dovecot]
) -> None:
    pair = await two(connect, start_dovecot(extra="imap_id_send = name other"))
    pair.deliver(mail(1))
    (id_,) = await pair.client.query()
    answer = await pair.copy({"a": {"id": id_}, "b": {"id": id_}})
    assert answer["created"].keys() == {"a"}
    refused = answer["notCreated"]["b"]
    assert refused["type"] == "alreadyExists"
    assert refused["existingId"] == answer["created"]["a"]["id"]
    assert on_server(pair.server, pair.other) == [mail(1)]


@pytest.mark.checklist("G01", "G04")
async def test_the_accounts_are_two(pair: Two, client: Client) -> None:
    async def refusal(from_account: Account | str, account: Account) -> str:
        ids = {
            "fromAccountId": from_account if isinstance(from_account, str) else from_account.id,
            "accountId": account.id,
        }
        with pytest.raises(Refused) as refused:
            await pair.client.call("Email/copy", **ids, create={})
        return refused.value.type

    own, other = pair.client.account, pair.others.account
    assert await refusal(own, own) == "invalidArguments"
    assert await refusal("none", own) == "fromAccountNotFound"
    assert await refusal(client.account, own) == "fromAccountNotFound"
    assert await refusal(other, client.account) == "accountNotFound"
