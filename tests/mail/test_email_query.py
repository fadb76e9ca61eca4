"""RFC 8621 §4.4: Email/query, case by case, also on accounts that are not indexed yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.store.opening import open_store
from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.mail.messages import RECEIVED, mail, reply
from tests.servers.dovecot import Dovecot, Message, User

NEWEST_FIRST = [{"property": "receivedAt", "isAscending": False}]


# --- RFC 8621 §4.4.1 ----------------------------------------------------------------------------


@pytest.mark.checklist("P03")
@pytest.mark.parametrize(
    ("filter_", "matches"),
    [
        ({"before": "2024-02-29T12:30:15Z"}, False),
        ({"before": "2024-02-29T12:30:16Z"}, True),
        ({"before": "2024-02-29T12:30:15.001Z"}, True),
        ({"after": "2024-02-29T12:30:15Z"}, True),
        ({"after": "2024-02-29T12:30:15.001Z"}, False),
        ({"after": "2024-02-29T12:30:14Z", "before": "2024-02-29T12:30:60Z"}, True),
        ({"before": "0001-01-01T00:00:00Z"}, False),
        ({"before": "9999-12-31T23:59:60Z"}, True),
        ({"after": "9999-12-31T23:59:59.999999999Z"}, False),
        ({"minSize": 2**53 - 1}, False),
        ({"maxSize": 0}, False),
        ({"minSize": 0, "maxSize": 2**53 - 1}, True),
    ],
)
async def test_dates_and_sizes_at_their_edges(
    client: Client, dovecot: Dovecot, mailuser: User, filter_: dict[str, Any], matches: bool
) -> None:
    """RFC 8621 §4.4.1: to the second and below, and from the first year to the last."""
    dovecot.append(mailuser, "INBOX", mail(), (), RECEIVED)
    assert len(await client.query(filter_)) == matches


@pytest.mark.checklist("P03")
async def test_size_is_compared_to_the_octet(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.4.1: minSize is reached by the size itself, maxSize is not."""
    size = len(mail())
    dovecot.append(mailuser, "INBOX", mail())
    sizes = (size - 1, size, size + 1)
    assert [len(await client.query({"minSize": n})) for n in sizes] == [1, 1, 0]
    assert [len(await client.query({"maxSize": n})) for n in sizes] == [0, 0, 1]


@pytest.mark.checklist("H02", "H06", "P12", "C20")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"filter": {"colour": "red"}}, "unsupportedFilter"),
        ({"filter": {"inMailbox": "no id!"}}, "invalidArguments"),
        ({"filter": {"inMailbox": None}}, "invalidArguments"),
        ({"filter": {"inMailboxOtherThan": "Binbox"}}, "invalidArguments"),
        ({"filter": {"before": "2024-02-29T12:30:15+01:00"}}, "invalidArguments"),
        ({"filter": {"after": "yesterday"}}, "invalidArguments"),
        ({"filter": {"minSize": -1}}, "invalidArguments"),
        ({"filter": {"hasKeyword": True}}, "invalidArguments"),
        ({"filter": {"hasAttachment": "yes"}}, "invalidArguments"),
        ({"filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ({"filter": {"operator": "AND", "hasAttachment": True}}, "invalidArguments"),
        ({"filter": []}, "invalidArguments"),
        ({"sort": [{"property": "preview"}]}, "unsupportedSort"),
        ({"sort": [{"property": "subject", "collation": "i;klingon"}]}, "unsupportedSort"),
        ({"sort": [{"property": "hasKeyword"}]}, "invalidArguments"),
        ({"sort": [{"isAscending": True}]}, "invalidArguments"),
        ({"limit": -1}, "invalidArguments"),
        ({"collapseThreads": "yes"}, "invalidArguments"),
        ({"anchor": "Emissing"}, "anchorNotFound"),
    ],
)
async def test_what_an_email_query_does_not_take_is_refused(
    client: Client, arguments: dict[str, Any], error: str
) -> None:
    """RFC 8620 §5.5, RFC 8621 §4.4."""
    with pytest.raises(Refused) as refused:
        await client.call("Email/query", **arguments)
    assert refused.value.type == error


@pytest.mark.checklist("P02", "P15")
async def test_mailboxes_in_a_filter(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §4.4.1: an Email in two mailboxes is in each, and once in all."""
    dovecot.append(mailuser, "INBOX", mail(1))
    dovecot.append(mailuser, "Trash", mail(2))
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("COPY", "1", "Trash")
    paths = await client.paths()
    inbox, trash = paths["Inbox"], paths["Trash"]
    (first,) = await client.query({"inMailbox": inbox})
    every = await client.query({"inMailbox": trash})
    assert first in every
    assert len(every) == 2
    assert sorted(await client.query()) == sorted(every)
    assert await client.query({"inMailboxOtherThan": [trash]}) == [first]
    assert await client.query({"inMailboxOtherThan": [trash, inbox]}) == []
    assert sorted(await client.query({"inMailboxOtherThan": []})) == sorted(every)
    assert await client.query({"inMailbox": "Bmissing"}) == []
    assert await client.query({"inMailbox": paths["Drafts"]}) == []
    nowhere = {"operator": "NOT", "conditions": [{"inMailbox": "Bmissing"}]}
    assert sorted(await client.query(nowhere)) == sorted(every)


# --- RFC 8620 §5.5 ------------------------------------------------------------------------------


@pytest.mark.checklist("H13")
async def test_query_state_moves_when_results_do(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §5.5: with each change of ids or of their order."""
    dovecot.append_all(mailuser, "INBOX", [Message(mail(n)) for n in range(3)])
    query = {"sort": [{"property": "hasKeyword", "keyword": "$flagged"}]}
    first = await client.call("Email/query", **query)
    assert await client.call("Email/query", **query) == first
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("STORE", "1:2", "+FLAGS", "(\\Flagged)")
        second = await client.call("Email/query", **query)
        imap.uid("STORE", "3", "+FLAGS", "(\\Deleted)")
        third = await client.call("Email/query", **query)
    answers = [first, second, third]
    assert len({answer["queryState"] for answer in answers}) == 3
    assert [len(answer["ids"]) for answer in answers] == [3, 3, 2]
    assert all(answer["canCalculateChanges"] for answer in answers)


async def test_sort_by_header_takes_in_new_mail(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    r"""RFC 8621 §4.4.2: also what was \Deleted when the order was made, and comes back."""
    sort = [{"property": "subject"}]
    dovecot.append_all(mailuser, "INBOX", [Message(mail(n, subject=f"{n}")) for n in "13579"])
    dovecot.append(mailuser, "INBOX", mail(4, subject="4"), ["\\Deleted"])
    shown = []

    async def subjects() -> str:
        emails = await client.emails(await client.query(sort=sort), ["subject"])
        return "".join(email["subject"] for email in emails)

    shown.append(await subjects())
    for number in "802":
        dovecot.append(mailuser, "INBOX", mail(number, subject=number))
        shown.append(await subjects())
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("STORE", "6", "-FLAGS", "(\\Deleted)")
        shown.append(await subjects())
        imap.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
        shown.append(await subjects())
    assert shown == ["13579", "135789", "0135789", "01235789", "012345789", "02345789"]


async def test_sort_by_header_of_an_account_from_the_store(
    connect: Connect, dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    r"""RFC 8621 §4.4.2: what was \Deleted before a restart finds its place after it."""
    messages = [Message(mail(n, subject=f"{n:03}")) for n in range(280)]
    messages[140] = Message(messages[140].octets, ("\\Deleted",))
    dovecot.append_all(mailuser, "INBOX", messages)
    store = open_store("memory://", b"x" * 32, tmp_path)
    before = await connect(dovecot, mailuser, store)
    assert len(await before.query()) == 279
    await before.account.save()

    after = await connect(dovecot, mailuser, store)
    sort = [{"property": "subject"}]
    assert len(await after.query(sort=sort)) == 279
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("STORE", "141", "-FLAGS", "(\\Deleted)")
    emails = await after.emails(await after.query(sort=sort), ["subject"])
    assert [email["subject"] for email in emails] == [f"{n:03}" for n in range(280)]


# --- accounts that are not indexed yet ----------------------------------------------------------


@pytest.fixture
def many(dovecot: Dovecot, mailuser: User) -> User:
    """Give a user whose inbox has 260 Emails: many of one second, some in one Thread."""
    messages = []
    for number in range(260):
        octets = reply(number, 0) if number % 3 == 0 else mail(number)
        received = RECEIVED + timedelta(seconds=number // 40)
        flags = ("\\Deleted",) if number % 13 == 0 else ()
        messages.append(Message(octets, flags, received))
    dovecot.append_all(mailuser, "INBOX", messages)
    return mailuser


@pytest.mark.checklist("P11", "P13")
@pytest.mark.parametrize("collapse", [False, True])
async def test_cold_account_answers_as_a_warm_one(
    connect: Connect, dovecot: Dovecot, many: User, collapse: bool
) -> None:
    """RFC 8620 §5.5: windows of the newest mail, each asked for first on a gateway just started.

    Their ends cut through Emails of one second, whose order must be the same all the same.
    """
    warm = await connect(dovecot, many)
    inbox = (await warm.paths())["Inbox"]
    query = {
        "filter": {"inMailbox": inbox},
        "sort": NEWEST_FIRST,
        "collapseThreads": collapse,
    }
    await warm.query()
    whole = (await warm.call("Email/query", **query))["ids"]
    assert len(whole) == (161 if collapse else 240)
    windows: list[dict[str, Any]] = [
        {"limit": 1},
        {"limit": 10},
        {"limit": 60},
        {"position": 50, "limit": 30},
        {"position": 95, "limit": 50, "calculateTotal": True},
        {"position": len(whole) - 5, "limit": 50},
        {"position": len(whole) + 5, "limit": 50},
        {"limit": 0, "calculateTotal": True},
        {"anchor": whole[120], "anchorOffset": -3, "limit": 7},
        {"position": -20, "limit": 5},
        {},
    ]
    for window in windows:
        cold = await connect(dovecot, many)
        assert not cold.account.data.mailboxes
        answer = await cold.call("Email/query", **query, **window)
        expected = await warm.call("Email/query", **query, **window)
        for member in ("ids", "position", "total", "limit"):
            assert answer.get(member) == expected.get(member), window
        if answer["ids"]:
            properties = ["receivedAt", "threadId", "mailboxIds", "keywords", "subject"]
            assert await cold.emails(answer["ids"], properties) == await warm.emails(
                expected["ids"], properties
            )


async def test_cold_account_answers_many_at_once(
    connect: Connect, dovecot: Dovecot, many: User
) -> None:
    """RFC 8620 §3.10: requests interleave; each gets what it would have got alone."""
    warm = await connect(dovecot, many)
    inbox = (await warm.paths())["Inbox"]
    queries: list[dict[str, Any]] = [
        {"filter": {"inMailbox": inbox}, "sort": NEWEST_FIRST, "limit": 20 * n} for n in range(6)
    ]
    queries += [{"filter": {"inMailbox": inbox}, "collapseThreads": True, "calculateTotal": True}]
    queries += [{"sort": [{"property": name}]} for name in ("subject", "size", "from", "sentAt")]
    queries += [{"filter": {"hasAttachment": False}}, {"filter": {"notKeyword": "$seen"}}]
    await warm.query()
    expected = [await warm.call("Email/query", **query) for query in queries]
    cold = await connect(dovecot, many)
    answers = await asyncio.gather(*(cold.call("Email/query", **query) for query in queries))
    for query, answer, right in zip(queries, answers, expected, strict=True):
        assert answer["ids"] == right["ids"], query
        assert answer.get("total") == right.get("total"), query


async def test_cold_account_without_sort_on_the_server(
    connect: Connect, start_dovecot: Callable[..., Dovecot]
) -> None:
    """RFC 5256 is optional: the answer is the same, it only takes longer."""
    server = start_dovecot(without=("SORT", "SORT=DISPLAY", "ESORT", "ESEARCH", "CONTEXT=SEARCH"))
    user = server.add_user()
    dates = [RECEIVED + timedelta(minutes=n * 7 % 10) for n in range(10)]
    server.append_all(user, "INBOX", [Message(mail(n), (), date) for n, date in enumerate(dates)])
    client = await connect(server, user)
    inbox = (await client.paths())["Inbox"]
    ids = await client.query({"inMailbox": inbox}, NEWEST_FIRST, limit=4)
    emails = await client.emails(ids, ["receivedAt"])
    assert [email["receivedAt"] for email in emails] == [
        f"{date:%Y-%m-%dT%H:%M:%S}Z" for date in sorted(dates, reverse=True)[:4]
    ]


async def test_first_inbox_in_one_request(connect: Connect, dovecot: Dovecot, many: User) -> None:
    """RFC 8621 §4.10: what a client asks first, by reference, of an account never seen."""
    inbox = (await (await connect(dovecot, many)).paths())["Inbox"]
    cold = await connect(dovecot, many)
    responses = await cold.request(
        ("Mailbox/get", {"ids": None}),
        (
            "Email/query",
            {
                "filter": {"inMailbox": inbox},
                "sort": NEWEST_FIRST,
                "collapseThreads": True,
                "limit": 10,
                "calculateTotal": True,
            },
        ),
        ("Email/get", {"#ids": reference("1", "Email/query", "/ids"), "properties": ["threadId"]}),
        ("Thread/get", {"#ids": reference("2", "Email/get", "/list/*/threadId")}),
        ("Email/get", {"#ids": reference("3", "Thread/get", "/list/*/emailIds")}),
    )
    assert [name for name, _ in responses] == [
        *("Mailbox/get", "Email/query", "Email/get", "Thread/get", "Email/get"),
    ]
    query, threads, emails = (responses[n][1] for n in (1, 3, 4))
    assert len(query["ids"]) == 10
    assert query["total"] == 161
    assert len(threads["list"]) == 10
    members = {id_ for thread in threads["list"] for id_ in thread["emailIds"]}
    assert members >= set(query["ids"])
    assert {email["id"] for email in emails["list"]} == members


def reference(call_id: str, name: str, path: str) -> dict[str, str]:
    return {"resultOf": call_id, "name": name, "path": path}
