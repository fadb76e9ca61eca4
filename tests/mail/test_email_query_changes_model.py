"""RFC 8620 §5.6, RFC 8621 §4.5: over random histories of mail, for random filters and sorts.

A client that does what the RFC says with each answer has what it would be given anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.jmap.limits import DEFAULTS
from gateway.jmap.methods.query import parse
from gateway.mail.email_query import QUERY, WindowResults
from gateway.mail.email_sort import ordered
from gateway.mail.query_state import query_state
from gateway.sync.emails import NOWHERE
from gateway.sync.newest import Newest
from gateway.sync.view import View
from tests.mail.client import Client, Refused
from tests.mail.followed import applied
from tests.mail.history import Asker, Held, History

STEPS = 8
QUERIES = 6
IMMUTABLE = {"before", "after", "minSize", "maxSize", "hasAttachment", "text", "from"}
BY_MAILBOX = {"inMailbox", "inMailboxOtherThan"}
BY_KEYWORD = {"hasKeyword", "notKeyword"}
LEARNING = {"hasAttachment", "text", "from"}

Facts = dict[str, tuple[set[int], int]]


@dataclass(frozen=True)
class Cached:
    """What a client has of a query: the ids, the state, and the Emails as they were."""

    query: dict[str, Any]
    ids: list[str]
    state: str
    facts: Facts


class World:
    """A history and a client of it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.history = History(random)
        self.held = Held(self.history, random)
        self.client = Client(self.held.account)
        self.asker = Asker(random)

    async def ask(self, query: dict[str, Any]) -> Cached:
        """A fresh query."""
        answer = await self.client.call("Email/query", **query)
        assert answer["canCalculateChanges"]
        return Cached(query, answer["ids"], answer["queryState"], self.facts())

    async def changes(self, cached: Cached, **arguments: Any) -> dict[str, Any]:
        """What happened to a cached query."""
        arguments = {"sinceQueryState": cached.state, "calculateTotal": True, **arguments}
        answer = await self.client.call("Email/queryChanges", **cached.query, **arguments)
        assert answer["oldQueryState"] == cached.state
        return answer

    async def changes_if_any(self, cached: Cached) -> dict[str, Any] | None:
        """The same, None if they can not be calculated."""
        try:
            return await self.changes(cached)
        except Refused as refused:
            if refused.type != "cannotCalculateChanges":
                raise
            return None

    def facts(self) -> Facts:
        """Mailboxes and keywords of all Emails by id."""
        emails = self.history.data.emails
        return {
            emails.id(row): (
                {number for number, _ in emails.placements(row)},
                self.history.data.index.keywords.unpack(emails.bits[row]),
            )
            for row in range(emails.size)
            if emails.home_mailbox[row] != NOWHERE
        }

    def thread_of(self, id_: str) -> int:
        emails = self.history.data.emails
        return int(emails.thread[emails.row(id_)])


def names(query: dict[str, Any]) -> Iterator[str]:
    """The conditions and comparators of a query."""

    def conditions(filter_: dict[str, Any]) -> Iterator[str]:
        if "operator" in filter_:
            for inner in filter_["conditions"]:
                yield from conditions(inner)
        else:
            yield from filter_

    yield from conditions(query.get("filter", {}))
    yield from (comparator["property"] for comparator in query.get("sort", ()))


def may_have_changed(world: World, old: Cached, new: Cached) -> set[str]:
    """The Emails of both moments for which something the query looks at is not what it was."""
    used = set(names(old.query))
    both = old.facts.keys() & new.facts.keys()
    changed = {id_ for id_ in both if used & BY_MAILBOX and old.facts[id_][0] != new.facts[id_][0]}
    reflagged = {id_ for id_ in both if old.facts[id_][1] != new.facts[id_][1]}
    if used & BY_KEYWORD:
        changed |= reflagged
    if any("InThread" in name for name in used):
        threads = {world.thread_of(id_) for id_ in reflagged | new.facts.keys() - old.facts.keys()}
        changed |= {id_ for id_ in both if world.thread_of(id_) in threads}
    return changed


def is_immutable(query: dict[str, Any]) -> bool:
    return not any("Keyword" in name or "Mailbox" in name for name in names(query))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
@pytest.mark.checklist("I01", "I02", "I03", "I04", "I06", "I07", "P14")
async def test_a_client_that_applies_changes_has_what_a_fresh_query_gives(seed: int) -> None:
    """RFC 8620 §5.6: after any time, whole or only its start; by the letter of what is removed."""
    random = Random(seed)
    world = World(random)
    world.history.step()
    cached = [await world.ask(world.asker.query()) for _ in range(QUERIES)]
    for _ in range(STEPS):
        for _ in range(random.choice((0, 1, 1, 5))):
            world.history.step()
        world.held.learn()
        for at, old in enumerate(cached):
            if random.random() < 0.3:
                continue  # this one is away for longer
            answer = await world.changes_if_any(old)
            new = cached[at] = await world.ask(old.query)
            if answer is None:
                assert LEARNING & set(names(old.query))
                continue
            check(world, old, new, answer)
            if is_immutable(old.query) and old.ids:
                await check_up_to(world, old, new)


def check(world: World, old: Cached, new: Cached, answer: dict[str, Any]) -> None:
    removed, indexes = answer["removed"], [item["index"] for item in answer["added"]]
    added = {item["id"] for item in answer["added"]}
    assert applied(old.ids, answer) == new.ids
    assert answer["newQueryState"] == new.state
    assert answer["total"] == len(new.ids)
    assert indexes == sorted(set(indexes))
    changed = may_have_changed(world, old, new) & set(new.ids)
    assert set(removed) >= set(old.ids) - set(new.ids) | changed
    assert added >= set(new.ids) - set(old.ids) | changed
    if is_immutable(old.query) and not old.query["collapseThreads"]:
        assert set(removed) == set(old.ids) - set(new.ids)
        assert added == set(new.ids) - set(old.ids)
    if new.state == old.state:
        assert not removed
        assert not added


async def check_up_to(world: World, old: Cached, new: Cached) -> None:
    """A client that has the start of the results alone needs no more than what concerns it."""
    held = old.ids[: world.random.randrange(1, len(old.ids) + 1)]
    last = held[-1]
    answer = await world.changes(old, upToId=last)
    if last in new.ids:
        end = new.ids.index(last)
        assert applied(held, answer) == new.ids[: end + 1]
        assert all(item["index"] < end for item in answer["added"])
        assert set(answer["removed"]) <= set(held)
    else:
        assert applied(old.ids, answer) == new.ids
    assert answer["total"] == len(new.ids)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
@pytest.mark.checklist("I03", "I05", "P14")
async def test_what_is_found_late_or_forgotten_is_never_a_wrong_difference(seed: int) -> None:
    """RFC 8621 §4.4.1: servers find new mail late, mail is gone before it is found again, the
    gateway forgets, and mail comes and goes while it searches.
    """
    random = Random(seed)
    world = World(random)
    world.history.step()
    query = {"filter": world.asker.condition("text", "hasAttachment"), "sort": None}
    old = await world.ask(query)
    for _ in range(STEPS):
        for event in random.choices(
            (
                *(world.history.step, world.history.step, world.held.learn),
                *(world.held.doubt, world.held.forget, world.history.forget_structure),
            ),
            k=3,
        ):
            event()
        world.held.disturbance = 0.1
        answer = await world.changes_if_any(old)
        world.held.disturbance = 0.0
        new = await world.ask(query)
        if answer is not None and answer["newQueryState"] == new.state:
            assert applied(old.ids, answer) == new.ids
        old = new


class Looking(Held):
    """An account whose newest mail was found by another request, a moment ago."""

    def __init__(self, history: History, random: Random, mailbox_id: str) -> None:
        super().__init__(history, random)
        self._mailbox_id = mailbox_id
        self._found: Newest | None = None

    async def newest(self, _mailbox_id: str, _count: int) -> Newest:
        found = self.now() if self._found is None else self._found
        self._found = None
        self.wait()
        return found

    def now(self) -> Newest:
        """All Emails of the mailbox."""
        view = View.now(self.data)
        number = self.data.numbers[self._mailbox_id]
        return Newest(ordered(view, view.in_mailbox(number), ()), is_all=True)

    def found_before(self) -> None:
        self._found = self.now()


@pytest.mark.checklist("H13", "I03")
async def test_the_state_of_a_window_is_that_of_its_ids() -> None:
    """RFC 8620 §5.5: also of one that was looked for before the mail changed again."""
    query = {"filter": {"inMailbox": "inbox"}}
    request = parse(query | {"sort": None, "collapseThreads": False}, QUERY, DEFAULTS)
    for seed in range(100):
        random = Random(seed)
        history = History(random)
        for _ in range(5):
            history.step()
        account = Looking(history, random, "inbox")
        account.found_before()
        account.disturbance = 0.7
        results = WindowResults(account.account, history.data, request, "inbox")
        ids, state = await results.slice(0, 100), results.query_state
        now = account.now().rows.tolist()
        assert ids == [history.data.emails.id(row) for row in now]
        assert state == query_state(request, history.data.email_state())


async def test_mail_that_comes_while_a_query_waits_is_in_its_results_and_its_state() -> None:
    """RFC 8620 §5.5: a state stands for exactly the ids that were given with it."""
    for seed in range(200):
        random = Random(seed)
        world = World(random)
        world.history.step()
        query = world.asker.query()
        world.held.disturbance = 0.3
        old = await world.ask(query)
        world.held.disturbance = 0.0
        world.held.learn()
        world.history.step()
        answer = await world.changes_if_any(old)
        if answer is not None:
            assert applied(old.ids, answer) == (await world.ask(query)).ids
