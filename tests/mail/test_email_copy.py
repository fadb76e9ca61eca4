"""RFC 8621 §4.7, RFC 8620 §5.4: Email/copy, on real servers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.mail import email_copy
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


# --- between the accounts of one login ------------------------------------------------------------


@pytest.fixture
async def shared(connect: Connect, start_dovecot: Callable[..., Dovecot]) -> Two:
    """Give an account and one that its user sees in the same connection (RFC 2342)."""
    server = start_dovecot(acl=True)
    reader, owner = server.add_user(), server.add_user()
    server.create(owner, "Work", "Closed")
    with server.imap(owner) as imap:
        for name, letters in (("INBOX", "lrwsite"), ("Work", "lrwsite"), ("Closed", "lr")):
            assert imap.setacl(name, reader.username, letters)[0] == "OK"
    client = await connect(server, reader)
    others = (await client.shared())[owner.username]
    return Two(server, (reader, owner), [client, others])


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the blobs of which the octets were taken for copies."""
    taken: list[str] = []
    real = email_copy.open_blob  # type: ignore[attr-defined]

    async def open_blob(account: Account, blob_id: str) -> object:
        taken.append(blob_id)
        return await real(account, blob_id)

    monkeypatch.setattr(email_copy, "open_blob", open_blob)
    return taken


@pytest.mark.checklist("G03", "G08")
async def test_the_server_copies_what_it_sees_both_ends_of(
    shared: Two, streamed: list[str]
) -> None:
    shared.deliver(mail(1), "\\Seen", "Blue")
    shared.deliver(mail(2))
    first, second = await shared.client.query(sort=[{"property": "hasKeyword", "keyword": "blue"}])
    emails = await shared.client.emails([first, second], ["keywords"])
    if not emails[0]["keywords"]:
        first, second = second, first
    paths = await shared.others.paths()
    everywhere = {paths["Inbox"]: True, paths["Work"]: True}
    other = {"id": second, "mailboxIds": everywhere, "keywords": {"$flagged": True}}
    answer = await shared.copy({"same": {"id": first}, "other": other})
    assert answer["notCreated"] is None
    assert streamed == []
    created = answer["created"]
    assert [each.keys() for each in created.values()] == [CREATED, CREATED]
    wanted = ["keywords", "receivedAt", "mailboxIds", *CREATED]
    same, changed = await shared.others.emails([each["id"] for each in created.values()], wanted)
    assert {name: same[name] for name in CREATED} == created["same"]
    assert same["keywords"] == {"$seen": True, "blue": True}
    assert datetime.fromisoformat(same["receivedAt"]) == RECEIVED
    assert changed["keywords"] == {"$flagged": True}
    assert changed["mailboxIds"] == everywhere
    assert sorted(on_server(shared.server, shared.other)) == [mail(1), mail(2)]
    assert on_server(shared.server, shared.other, "Work") == [mail(2)]
    assert len(await shared.client.query()) == 2


@pytest.mark.checklist("G03", "G06")
async def test_what_the_server_can_not_copy_so_goes_through_the_gateway(
    shared: Two, streamed: list[str]
) -> None:
    """Another date; and a second copy, which would be the same Email as the first."""
    shared.deliver(mail(1))
    (id_,) = await shared.client.query()
    dated = {"id": id_, "receivedAt": "2020-01-01T00:00:00Z"}
    answer = await shared.copy({"one": {"id": id_}, "two": {"id": id_}, "dated": dated})
    assert len(streamed) == 2
    emails = [each["id"] for each in answer["created"].values()]
    assert len(set(emails)) == 3
    again = await shared.copy({"three": {"id": id_}})
    assert again["created"]["three"]["id"] not in emails
    assert on_server(shared.server, shared.other) == [mail(1)] * 4


@pytest.mark.checklist("G05", "G07")
async def test_mail_moves_between_accounts(shared: Two) -> None:
    for number in (1, 2):
        shared.deliver(mail(number))
    first, second = await shared.client.query()
    closed = (await shared.others.paths())["Closed"]
    answers = await shared.request(
        {"a": {"id": first}, "b": {"id": second, "mailboxIds": {closed: True}}},
        onSuccessDestroyOriginal=True,
    )
    assert answers[0][1]["created"].keys() == {"a"}
    assert answers[0][1]["notCreated"]["b"]["type"] == "forbidden"
    assert answers[1][1]["destroyed"] == [first]
    assert await shared.client.query() == [second]
    assert len(on_server(shared.server, shared.other)) == 1
