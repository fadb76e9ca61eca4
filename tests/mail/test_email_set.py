"""RFC 8621 §4.6: Email/set, updates and destroys, on a real server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.servers.dovecot import Dovecot, User
from tests.servers.mail_server import Message
from tests.sync.hand import Hand, hand

MAIL = b"Message-ID: <%d@x>\r\nSubject: matter %d\r\n\r\nText.\r\n"


@pytest.fixture
async def client(connect: Connect, dovecot: Dovecot, mailuser: User) -> Client:
    """A client of a user with five messages in the inbox, and two further mailboxes."""
    with hand(dovecot, mailuser) as other:
        other.create("Work", "Play")
        for number in range(1, 6):
            _append(other, number)
    return await connect(dovecot, mailuser)


def _append(other: Hand, number: int, mailbox: str = "INBOX") -> None:
    message = Message(MAIL % (number, number))
    assert other.client.append(mailbox, "", "", message.octets)[0] == "OK"


async def _ids(client: Client) -> list[str]:
    """Ids by number of the message."""
    emails = await client.emails(properties=["subject"])
    return [e["id"] for e in sorted(emails, key=lambda e: str(e["subject"]))]


async def _shown(client: Client, id_: str) -> tuple[set[str], set[str]]:
    """Keywords, and names of Mailboxes."""
    ((email),) = await client.emails([id_], ["keywords", "mailboxIds"])
    names = {id_: path for path, id_ in (await client.paths()).items()}
    return set(email["keywords"]), {names[m] for m in email["mailboxIds"]}


async def _update(client: Client, **updates: Any) -> dict[str, Any]:
    return await client.call("Email/set", update=updates)


@pytest.mark.checklist("Q01", "Q02")
async def test_keywords_change_by_patch_and_by_full_value(client: Client) -> None:
    first, second, third, *_ = await _ids(client)
    answer = await _update(
        client,
        **{
            first: {"keywords/$seen": True, "keywords/Mine": True},
            second: {"keywords": {"$flagged": True}},
            third: {"keywords/$seen": None},
        },
    )
    assert answer["updated"] == {first: None, second: None, third: None}
    assert answer["notUpdated"] is None
    assert (await _shown(client, first))[0] == {"$seen", "mine"}
    assert (await _shown(client, second))[0] == {"$flagged"}
    await _update(client, **{first: {"keywords": {"$answered": True}}})
    assert (await _shown(client, first))[0] == {"$answered"}


@pytest.mark.checklist("Q02", "F03")
async def test_mailboxes_change_along_with_keywords(client: Client) -> None:
    first, second, *_ = await _ids(client)
    paths = await client.paths()
    inbox, work, play = paths["Inbox"], paths["Work"], paths["Play"]
    answer = await _update(
        client,
        **{
            first: {"mailboxIds": {work: True, play: True}, "keywords/$seen": True},
            second: {f"mailboxIds/{work}": True},
        },
    )
    assert answer["updated"] == {first: None, second: None}
    assert await _shown(client, first) == ({"$seen"}, {"Work", "Play"})
    assert await _shown(client, second) == (set(), {"Inbox", "Work"})
    await _update(client, **{second: {f"mailboxIds/{inbox}": None}})
    assert await _shown(client, second) == (set(), {"Work"})


@pytest.mark.checklist("F15", "I02")
async def test_own_writes_are_read_at_once_and_told_as_changes(client: Client) -> None:
    first, second, *_ = await _ids(client)
    answer = await client.call(
        "Email/set", update={first: {"keywords/$seen": True}}, destroy=[second]
    )
    got = await client.call("Email/get", ids=[first, second], properties=["keywords"])
    assert got["state"] == answer["newState"] != answer["oldState"]
    assert got["list"] == [{"id": first, "keywords": {"$seen": True}}]
    assert got["notFound"] == [second]
    changes = await client.call("Email/changes", sinceState=answer["oldState"])
    assert (changes["updated"], changes["destroyed"]) == ([first], [second])
    assert changes["newState"] == answer["newState"]


@pytest.mark.checklist("Q12")
async def test_a_destroyed_email_is_in_no_mailbox(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    first, *others = await _ids(client)
    paths = await client.paths()
    await _update(client, **{first: {f"mailboxIds/{paths['Work']}": True}})
    answer = await client.call("Email/set", destroy=[first, "Enone"])
    assert answer["destroyed"] == [first]
    assert answer["notDestroyed"] == {"Enone": {"type": "notFound"}}
    assert sorted(await client.query()) == sorted(others)
    with dovecot.imap(mailuser) as other:
        for mailbox, count in (("INBOX", b"4"), ("Work", b"0")):
            assert other.select(mailbox) == ("OK", [count])


@pytest.mark.checklist("F01")
async def test_nothing_is_done_in_another_state(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    first, *_ = await _ids(client)
    state = (await client.call("Email/get", ids=[]))["state"]
    with dovecot.imap(mailuser) as other:
        other.select("INBOX")
        other.store("1", "+FLAGS", "\\Flagged")
    with pytest.raises(Refused) as refused:
        await client.call("Email/set", ifInState=state, destroy=[first])
    assert refused.value.type == "stateMismatch"
    assert len(await client.query()) == 5


@pytest.mark.checklist("F05", "F16", "Q03")
async def test_what_can_not_be_is_refused_object_by_object(client: Client) -> None:
    first, second, third, *_ = await _ids(client)
    inbox = (await client.paths())["Inbox"]
    answer = await client.call(
        "Email/set",
        update={
            first: {"mailboxIds": {}},
            second: {"mailboxIds/Bnone": True},
            third: {"keywords/a(b": True},
            "Enone": {"keywords/$seen": True},
        },
    )
    errors = answer["notUpdated"]
    assert {id_: e["type"] for id_, e in errors.items()} == {
        first: "invalidProperties",
        second: "invalidProperties",
        third: "invalidProperties",
        "Enone": "notFound",
    }
    assert errors[first]["properties"] == ["mailboxIds"]
    assert errors[third]["properties"] == ["keywords"]
    assert await _shown(client, first) == (set(), {"Inbox"})
    answer = await client.call(
        "Email/set", update={first: {f"mailboxIds/{inbox}": None}}, destroy=[first]
    )
    assert answer["notUpdated"][first]["type"] == "willDestroy"
    assert answer["destroyed"] == [first]


@pytest.mark.checklist("Q01")
async def test_all_other_properties_stay_as_they_are(client: Client) -> None:
    first, *_ = await _ids(client)
    (email,) = await client.emails([first], ["subject", "size", "header:Message-ID"])
    same = {name: value for name, value in email.items() if name != "id"}
    answer = await _update(client, **{first: {**same, "keywords/$seen": True}})
    assert answer["updated"] == {first: None}
    answer = await _update(client, **{first: {"subject": "Another", "keywords/$flagged": True}})
    assert answer["notUpdated"][first]["type"] == "invalidProperties"
    assert answer["notUpdated"][first]["properties"] == ["subject"]
    assert (await _shown(client, first))[0] == {"$seen"}


async def test_thousands_of_messages_are_few_commands(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    with hand(dovecot, mailuser) as other:
        for number in range(10, 310):
            _append(other, number)
    ids, work = await _ids(client), (await client.paths())["Work"]
    change = {"keywords/$seen": True, "mailboxIds": {work: True}}
    answer = await _update(client, **dict.fromkeys(ids, change))
    assert answer["notUpdated"] is None
    assert len(answer["updated"]) == 305
    mailboxes = {m["name"]: m for m in await client.mailboxes()}
    assert mailboxes["Work"]["totalEmails"] == 305
    assert mailboxes["Work"]["unreadEmails"] == 0
    assert mailboxes["Inbox"]["totalEmails"] == 0
