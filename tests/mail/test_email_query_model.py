"""RFC 8621 §4.4: random queries over random mail give what a plain model says."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from gateway.jmap.limits import DEFAULTS
from tests.mail import corpus
from tests.mail.client import Client
from tests.mail.conftest import Connect
from tests.mail.model import PROPERTIES, Model
from tests.servers.dovecot import Dovecot, User

SEED = 8621
SORTS = ("receivedAt", "size", "from", "to", "subject", "sentAt")
KEYWORD_SORTS = ("hasKeyword", "allInThreadHaveKeyword", "someInThreadHaveKeyword")
COLLATIONS = ("i;unicode-casemap", "i;ascii-casemap")
QUERIES = 300
AT_ONCE = DEFAULTS.max_calls_in_request


@pytest.fixture(scope="session")
def stored(dovecot: Dovecot) -> tuple[User, dict[str, str]]:
    """Give a user with random mail, and the base subjects by Message-ID."""
    random, user = Random(SEED), dovecot.add_user()
    made = corpus.make(random)
    corpus.store(dovecot, user, random, made)
    return user, {message.message_id: message.base for message in made}


@pytest.fixture
async def model(
    connect: Connect, dovecot: Dovecot, stored: tuple[User, dict[str, str]]
) -> tuple[Client, Model]:
    """Give a client of the random mail, and the model of it."""
    user, bases = stored
    client = await connect(dovecot, user)
    emails = await client.emails(properties=PROPERTIES)
    assert 130 < len(emails) < 150
    assert sum(len(email["mailboxIds"]) > 1 for email in emails) > 5
    return client, Model(emails, bases)


class Asker:
    """Makes random filters, sorts and windows out of what there is."""

    def __init__(self, random: Random, model: Model) -> None:
        self._random = random
        emails = list(model.emails.values())
        self._mailbox_ids = [*sorted({id_ for e in emails for id_ in e["mailboxIds"]}), "Bunknown"]
        self._emails = emails

    def filter(self, depth: int = 3) -> dict[str, Any]:
        random = self._random
        if depth and random.random() < 0.6:
            count = random.choice((0, 1, 2, 2, 3))
            conditions = [self.filter(depth - 1) for _ in range(count)]
            return {"operator": random.choice(("AND", "OR", "NOT")), "conditions": conditions}
        names = random.sample(sorted(self._conditions()), random.choice((0, 1, 1, 1, 2)))
        return {name: self._conditions()[name]() for name in names}

    def _conditions(self) -> dict[str, Callable[[], Any]]:
        random = self._random
        some, keyword = random.choice(self._emails), random.choice(corpus.KEYWORDS)
        return {
            "inMailbox": lambda: random.choice(self._mailbox_ids),
            "inMailboxOtherThan": lambda: random.sample(self._mailbox_ids, random.randrange(4)),
            "before": lambda: self._date(some),
            "after": lambda: self._date(some),
            "minSize": lambda: some["size"] + random.randrange(2),
            "maxSize": lambda: some["size"] + random.randrange(2),
            "hasAttachment": lambda: random.random() < 0.5,
            "hasKeyword": lambda: keyword,
            "notKeyword": lambda: keyword,
            "allInThreadHaveKeyword": lambda: keyword,
            "someInThreadHaveKeyword": lambda: keyword,
            "noneInThreadHaveKeyword": lambda: keyword,
        }

    def _date(self, some: dict[str, Any]) -> str:
        received: str = some["receivedAt"]
        # Half a second before or after, too.
        return self._random.choice((received, received.replace("Z", ".5Z")))

    def sort(self) -> list[dict[str, Any]]:
        random = self._random
        sort = []
        for name in random.sample(SORTS + KEYWORD_SORTS, random.choice((0, 1, 1, 2, 3))):
            comparator: dict[str, Any] = {"property": name}
            if name in KEYWORD_SORTS:
                comparator["keyword"] = random.choice(corpus.KEYWORDS)
            if random.random() < 0.5:
                comparator["isAscending"] = random.random() < 0.5
            if random.random() < 0.3:
                comparator["collation"] = random.choice(COLLATIONS)
            sort.append(comparator)
        return sort


async def answers(client: Client, queries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The responses to Email/query, many in one request."""
    found = []
    for start in range(0, len(queries), AT_ONCE):
        calls = [("Email/query", query) for query in queries[start : start + AT_ONCE]]
        responses = await client.request(*calls)
        assert {name for name, _ in responses} == {"Email/query"}
        found += [arguments for _, arguments in responses]
    return found


@pytest.mark.checklist("H01", "H03", "H04", "P02", "P03", "P04", "P05", "P09", "P11", "P12", "P15")
async def test_filters_and_sorts(model: tuple[Client, Model]) -> None:
    """RFC 8621 §4.4.1, §4.4.2: every condition and every sort, in every combination."""
    client, truth = model
    asker = Asker(Random(1), truth)
    queries: list[dict[str, Any]] = [
        {"filter": asker.filter(), "sort": asker.sort()} for _ in range(QUERIES)
    ]
    sizes = set()
    given = await answers(client, queries)
    for query, answer in zip(queries, given, strict=True):
        assert len(answer["ids"]) == len(set(answer["ids"])), query
        assert set(answer["ids"]) == truth.matching(query["filter"]), query
        assert truth.is_sorted(answer["ids"], query["sort"]), query
        sizes.add(len(answer["ids"]))
    assert len(sizes) > 20
    assert await answers(client, queries[:50]) == given[:50]


@pytest.mark.checklist("H07", "H08", "H09", "H10", "H11", "H12", "P13")
async def test_windows_and_collapsed_threads(model: tuple[Client, Model]) -> None:
    """RFC 8620 §5.5, RFC 8621 §4.4.3: any window is a slice of the whole, collapsed or not."""
    client, truth = model
    random = Random(2)
    asker = Asker(random, truth)
    wholes: list[dict[str, Any]] = [
        {"filter": asker.filter(2), "sort": asker.sort()} for _ in range(QUERIES // 2)
    ]
    windows, expected = [], []
    for query, answer in zip(wholes, await answers(client, wholes), strict=True):
        ids = answer["ids"]
        window = dict(query)
        if random.random() < 0.5:
            window["collapseThreads"] = True
            ids = truth.collapsed(ids)
        start = 0
        if ids and random.random() < 0.4:
            window["anchor"] = anchor = random.choice(ids)
            offset = window["anchorOffset"] = random.randrange(-5, 6)
            window["position"] = random.randrange(-10, 10)
            start = max(0, ids.index(anchor) + offset)
        elif random.random() < 0.8:
            start = window["position"] = random.randrange(-len(ids) - 3, len(ids) + 3)
            window["anchorOffset"] = random.randrange(-5, 6)
            start = max(0, len(ids) + start) if start < 0 else start
        stop = len(ids)
        if random.random() < 0.8:
            window["limit"] = random.randrange(20)
            stop = start + window["limit"]
        if random.random() < 0.5:
            window["calculateTotal"] = True
        windows.append(window)
        expected.append((start, ids[start:stop], len(ids) if "calculateTotal" in window else None))
    for window, answer, right in zip(
        windows, await answers(client, windows), expected, strict=True
    ):
        assert (answer["position"], answer["ids"], answer.get("total")) == right, window


@pytest.mark.checklist("L07", "P13")
async def test_counts_of_mailboxes_are_totals_of_queries(model: tuple[Client, Model]) -> None:
    """RFC 8621 §2: totalEmails, totalThreads, unreadEmails and unreadThreads of all mail."""
    client, truth = model
    mailboxes = await client.mailboxes()
    trash = next(m["id"] for m in mailboxes if m["role"] == "trash")
    unread = {
        id_ for id_, e in truth.emails.items() if not {"$seen", "$draft"} & e["keywords"].keys()
    }
    only_in_trash = {id_ for id_, e in truth.emails.items() if e["mailboxIds"].keys() == {trash}}
    assert only_in_trash
    assert only_in_trash < truth.matching({"inMailbox": trash})
    for mailbox in mailboxes:
        inside = truth.matching({"inMailbox": mailbox["id"]})
        counting = unread & inside if mailbox["id"] == trash else unread - only_in_trash
        threads = {truth.thread_of(id_) for id_ in inside}
        assert mailbox["totalEmails"] == len(inside)
        assert mailbox["unreadEmails"] == len(inside & unread)
        assert mailbox["totalThreads"] == len(threads)
        assert mailbox["unreadThreads"] == len(threads & {truth.thread_of(i) for i in counting})


@pytest.mark.checklist("P11", "B16")
async def test_collations_and_keyword_sorts_one_by_one(model: tuple[Client, Model]) -> None:
    """RFC 8621 §4.4.2: each sort alone puts all mail into a different order than the others."""
    client, truth = model
    queries: list[dict[str, Any]] = [
        {"sort": [{"property": name, "collation": collation, "isAscending": is_ascending}]}
        for name in SORTS
        for collation in COLLATIONS
        for is_ascending in (True, False)
    ] + [
        {"sort": [{"property": name, "keyword": keyword}]}
        for name in KEYWORD_SORTS
        for keyword in corpus.KEYWORDS
    ]
    for query, answer in zip(queries, await answers(client, queries), strict=True):
        assert truth.is_sorted(answer["ids"], query["sort"]), query
        assert len(answer["ids"]) == len(truth.emails)
