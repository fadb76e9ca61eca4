"""Design §6, §7: commits in the store, by several nodes, and a store that loses or forgets them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from gateway.store.base import Durable, Store, StoreUnavailable
from gateway.store.opening import open_store
from gateway.sync import compaction, journal, ledger, shelf
from gateway.sync.data import AccountData
from gateway.sync.errors import NotCommitted
from gateway.sync.journal import UnknownState
from gateway.sync.ledger import Ledger, Superseded
from gateway.sync.shelf import Shelf
from gateway.sync.strings import CHUNK_ROWS
from tests.sync.worlds import Box, World, account, record, shown

ACCOUNT = "an account"


class Node:
    """A gateway with one account; `follow` is what a check of it does."""

    def __init__(self, store: Store, world: World) -> None:
        self.ledger = Ledger(store, ACCOUNT)
        self.world = world
        self.data: AccountData = account()

    async def begin(self, epoch: str = "epoch") -> None:
        loaded = await self.ledger.load()
        self.data = loaded or account(epoch)
        await self.follow()
        await self.ledger.begin(self.data)

    async def follow(self) -> str:
        await self.ledger.catch_up(self.data)
        while made := record(self.data, self.world):
            if await self.ledger.commit(self.data, made):
                break
        assert emails(self.data) == {*shown(self.world)}
        return self.data.email_state()

    def knows(self, state: str) -> bool:
        try:
            self.data.journal.position("Email", state)
        except UnknownState:
            return False
        return True


def emails(data: AccountData) -> set[str]:
    return {data.emails.id(row) for row in data.emails.visible().nonzero()[0].tolist()}


class Doubtful:
    """A store that can be put back to what it held, and made to fail."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fails = ""
        self.before_replace: Callable[[], Awaitable[object]] | None = None
        self.saved: dict[str, bytes | None] = {}

    @property
    def durable(self) -> Durable:
        return self._store.durable

    async def load(self, account: str, key: str) -> bytes | None:
        self._may_fail("load")
        return await self._store.load(account, key)

    async def load_many(self, account: str, keys: Sequence[str]) -> dict[str, bytes]:
        self._may_fail("load")
        return await self._store.load_many(account, keys)

    async def save(self, account: str, entries: Mapping[str, bytes | None]) -> None:
        await self._store.save(account, entries)

    async def replace(
        self, account: str, key: str, expected: bytes | None, entries: Mapping[str, bytes | None]
    ) -> bool:
        self._may_fail("replace")
        if self.before_replace is not None:
            work, self.before_replace = self.before_replace, None
            await work()
        done = await self._store.replace(account, key, expected, entries)
        if self.fails == "answer":
            raise StoreUnavailable("memory", "no answer")
        return done

    async def delete_account(self, account: str) -> None:
        await self._store.delete_account(account)

    async def size(self, account: str) -> int:
        return await self._store.size(account)

    async def close(self) -> None:
        await self._store.close()

    async def ping(self) -> None:
        pass

    def _may_fail(self, what: str) -> None:
        if self.fails == what:
            raise StoreUnavailable("memory", "it fails on purpose")

    async def remember(self) -> None:
        self.saved = await self.held()

    async def go_back(self) -> None:
        await self._store.save(ACCOUNT, self.saved)

    async def held(self) -> dict[str, bytes | None]:
        keys = ("head", "index", "journal", *(f"log.{n}" for n in range(1, 30)))
        held = await self._store.load_many(ACCOUNT, keys)
        return {key: held.get(key) for key in keys}


@pytest.fixture
def world() -> World:
    world = {"B1": Box("Inbox", "inbox"), "B2": Box("Trash", "trash")}
    for identity in range(5):
        world["B1"].append(identity)
    return world


@pytest.fixture
def store(tmp_path: Path) -> Doubtful:
    return Doubtful(open_store("memory://", b"x" * 32, tmp_path))


async def two(store: Store, world: World) -> tuple[Node, Node]:
    one, other = Node(store, world), Node(store, world)
    await one.begin()
    await other.begin()
    return one, other


@pytest.mark.checklist("D08", "E09")
async def test_nodes_come_to_the_same_states(store: Doubtful, world: World) -> None:
    one, other = await two(store, world)
    for identity in range(5, 15):
        world["B1"].append(identity)
        states = {await one.follow(), await other.follow()}
        assert len(states) == 1
        one, other = other, one


async def test_a_node_that_is_behind_does_not_commit(store: Doubtful, world: World) -> None:
    """What it made of what it knew is of no use: it takes in what the other one has committed."""
    one, other = await two(store, world)
    world["B1"].append(7)
    made = record(other.data, world)
    world["B1"].append(8)
    await one.follow()
    assert not await other.ledger.commit(other.data, made)
    assert other.data.email_state() == one.data.email_state()
    assert emails(other.data) == {*shown(world)}


async def test_a_node_that_comes_later_knows_all_states(store: Doubtful, world: World) -> None:
    """From a checkpoint and what came after it; also when there was none for long."""
    node = Node(store, world)
    await node.begin()
    states = [node.data.email_state()]
    for identity in range(5, 12):
        world["B1"].append(identity)
        states.append(await node.follow())
        if identity == 8:
            await node.ledger.save(node.data)
    later = Node(store, world)
    await later.begin()
    assert all(map(later.knows, states))
    assert later.data.email_state() == states[-1]


async def test_a_commit_without_an_answer_is_found_to_be_done(
    store: Doubtful, world: World
) -> None:
    node = Node(store, world)
    await node.begin()
    world["B1"].append(7)
    store.fails = "answer"
    with pytest.raises(NotCommitted):
        await node.follow()
    assert emails(node.data) != {*shown(world)}, "nothing is told before it is known to be kept"
    store.fails = ""
    state = await node.follow()
    later = Node(store, world)
    await later.begin()
    assert later.data.email_state() == state


@pytest.mark.checklist("E07", "E09")
async def test_what_the_store_loses_a_node_gives_back(store: Doubtful, world: World) -> None:
    """Design §1: states stay good as long as somebody remembers them."""
    one, other = await two(store, world)
    before = one.data.email_state()
    await store.delete_account(ACCOUNT)
    world["B1"].append(7)
    state = await one.follow()
    assert await other.follow() == state
    later = Node(store, world)
    await later.begin()
    assert later.knows(before)
    assert later.knows(state)


@pytest.mark.checklist("E07")
async def test_after_the_loss_of_everything_no_state_is_known(
    store: Doubtful, world: World
) -> None:
    node = Node(store, world)
    await node.begin()
    await store.delete_account(ACCOUNT)
    later = Node(store, world)
    await later.begin("another")
    assert not later.knows(node.data.email_state())
    assert emails(later.data) == emails(node.data)


@pytest.mark.checklist("E07")
async def test_a_store_that_went_back_in_time_does_not_know_what_came_later(
    store: Doubtful, world: World
) -> None:
    node = Node(store, world)
    await node.begin()
    early = node.data.email_state()
    await store.remember()
    world["B1"].append(7)
    late = await node.follow()
    await store.go_back()
    del world["B1"].messages[1]
    later = Node(store, world)
    await later.begin()
    assert later.knows(early)
    assert not later.knows(late)
    with pytest.raises(Superseded):
        await node.follow()


async def test_a_store_that_went_back_in_time_is_brought_forward(
    store: Doubtful, world: World
) -> None:
    """By a node that was there all the time."""
    node = Node(store, world)
    await node.begin()
    await store.remember()
    world["B1"].append(7)
    late = await node.follow()
    await store.go_back()
    assert await node.follow() == late
    later = Node(store, world)
    await later.begin()
    assert later.data.email_state() == late


async def test_two_nodes_that_index_an_account_come_to_one_lineage(
    store: Doubtful, world: World
) -> None:
    one, other = Node(store, world), Node(store, world)
    one.data, other.data = account("one"), account("other")
    await one.follow()
    await other.follow()
    await one.ledger.begin(one.data)
    with pytest.raises(Superseded):
        await other.ledger.begin(other.data)


@pytest.mark.parametrize("lost", ["index", "journal", "log.1", "log.2"])
async def test_an_account_of_which_a_part_is_lost_is_read_anew(
    lost: str, store: Doubtful, world: World
) -> None:
    """Unless what is lost is not needed."""
    node = Node(store, world)
    await node.begin()
    for identity in (7, 8):
        world["B1"].append(identity)
        state = await node.follow()
    await store.save(ACCOUNT, {lost: None})
    later = Node(store, world)
    await later.begin("another")
    needed = lost != "log.1"  # which is in the checkpoint
    assert later.knows(state) != needed
    assert emails(later.data) == {*shown(world)}


@pytest.mark.parametrize("what", ["load", "replace"])
async def test_an_account_goes_on_by_itself_when_the_store_fails_for_long(
    what: str, store: Doubtful, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a lineage of its own, which the store takes when it is back."""
    node = Node(store, world)
    await node.begin()
    state = node.data.email_state()
    store.fails = what
    world["B1"].append(7)
    with pytest.raises(NotCommitted):
        await node.follow()
    monkeypatch.setattr(ledger, "GRACE_SECONDS", 0.0)
    alone = await node.follow()
    assert not node.knows(state)
    store.fails = ""
    await node.ledger.begin(node.data)
    later = Node(store, world)
    await later.begin()
    assert later.data.email_state() == alone


async def test_another_node_that_went_on_meanwhile_wins(
    store: Doubtful, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await two(store, world)
    monkeypatch.setattr(ledger, "GRACE_SECONDS", 0.0)
    world["B1"].append(7)
    store.fails = "replace"
    await one.follow()
    store.fails = ""
    await other.follow()
    with pytest.raises(Superseded):
        await one.ledger.begin(one.data)


# --- rows that are taken out ---------------------------------------------------------------------


@pytest.fixture
def frugal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the last entry of a log is kept, and no row that nobody needs."""
    monkeypatch.setattr(journal, "KEPT_SECONDS", -1)
    monkeypatch.setattr(compaction, "SPARE_ROWS", 0)


async def age(node: Node, count: int = 3 * CHUNK_ROWS) -> str:
    """Much mail comes and goes again; returns the latest state that will be known for long."""
    box = node.world["B1"]
    uids = [box.append(identity) for identity in range(100, 100 + count)]
    await node.follow()
    for uid in uids:
        del box.messages[uid]
    state = await node.follow()
    box.append(99)
    await node.follow()
    return state


@pytest.mark.checklist("E07", "E09")
@pytest.mark.usefixtures("frugal")
async def test_an_account_of_which_most_is_gone_goes_on(store: Doubtful, world: World) -> None:
    """RFC 8620 §5.2: its rows are numbered anew, and its states are good; on every node."""
    one, other = await two(store, world)
    state = await age(one)
    await other.follow()
    later = Node(store, world)
    await later.begin("another")
    assert later.data.emails.size < one.data.emails.size == CHUNK_ROWS * 3 + 6
    assert later.knows(state)
    assert later.data.email_state() == one.data.email_state()
    world["B1"].append(7)
    for node in (one, other):
        with pytest.raises(Superseded):
            await node.follow()
    again = Node(store, world)
    await again.begin("another")
    assert again.data.numbering == later.data.numbering
    assert again.knows(state)
    assert await later.follow() == again.data.email_state()


@pytest.mark.usefixtures("frugal")
async def test_a_node_does_not_commit_with_other_numbers(store: Doubtful, world: World) -> None:
    one, _ = await two(store, world)
    await age(one)
    world["B1"].append(7)
    made = record(one.data, world)
    later = Node(store, world)
    await later.begin("another")
    with pytest.raises(Superseded):
        await one.ledger.commit(one.data, made)


@pytest.mark.usefixtures("frugal")
async def test_strings_are_stored_by_their_new_rows(store: Doubtful, world: World) -> None:
    """Design §7: so that the server is not asked for them again; those of the old ones go."""
    node = Node(store, world)
    await node.begin()
    for identity in range(200, 200 + 2 * CHUNK_ROWS):
        world["B1"].append(identity)
    await node.follow()
    await age(node, 6 * CHUNK_ROWS)
    strings = Shelf(store, ACCOUNT)
    await strings.save(node.data)
    known = {node.data.emails.id(row): node.data.headers.get(row) for row in range(2 * CHUNK_ROWS)}
    old = shelf.keys(node.data)
    for _ in range(2):  # the other one has to read what the first one has stored
        later = Node(store, world)
        await later.begin("another")
        await strings.fill_all(later.data)
        emails = later.data.emails
        assert emails.size < 3 * CHUNK_ROWS
        for row in range(2 * CHUNK_ROWS):
            assert later.data.headers.get(row) == known[emails.id(row)] is not None
    new = {key for key in shelf.keys(later.data) if key.startswith("header.")}
    assert {*await store.load_many(ACCOUNT, [*new])} == new
    assert not await store.load_many(ACCOUNT, [*old - new])


@pytest.mark.usefixtures("frugal")
async def test_what_another_node_commits_meanwhile_is_not_lost(
    store: Doubtful, world: World
) -> None:
    one = Node(store, world)
    await one.begin()
    await age(one)
    world["B1"].append(7)
    store.before_replace = one.follow
    later = Node(store, world)
    await later.begin("another")
    assert later.data.email_state() == one.data.email_state()
    assert emails(later.data) == {*shown(world)}
    world["B1"].append(8)
    assert await later.follow() == await one.follow()


@pytest.mark.usefixtures("frugal")
@pytest.mark.parametrize("fails", ["replace", "answer"])
async def test_an_account_can_be_used_where_its_rows_can_not_be_numbered_anew(
    fails: str, store: Doubtful, world: World
) -> None:
    node = Node(store, world)
    await node.begin()
    state = await age(node)
    store.fails = fails
    later = Node(store, world)
    loaded = await later.ledger.load()
    assert loaded is not None
    later.data, store.fails = loaded, ""
    assert later.knows(state)
    world["B1"].append(7)
    assert await later.follow() != state


@pytest.mark.checklist("E07")
@pytest.mark.usefixtures("frugal")
@pytest.mark.parametrize("commits", [0, 1])
async def test_a_store_that_went_back_to_other_numbers(
    commits: int, store: Doubtful, world: World
) -> None:
    """What was committed since is brought forward; else what is in the store is as good."""
    one = Node(store, world)
    await one.begin()
    state = await age(one)
    await store.remember()
    later = Node(store, world)
    await later.begin("another")
    if commits:
        world["B1"].append(7)
        state = await later.follow()
    await store.go_back()
    if commits:
        assert await later.follow() == state
    else:
        with pytest.raises(Superseded):
            await later.follow()
    again = Node(store, world)
    await again.begin("another")
    assert again.knows(state)
    assert emails(again.data) == {*shown(world)}
    with pytest.raises(Superseded):
        await one.follow()
