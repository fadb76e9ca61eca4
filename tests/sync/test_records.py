"""RFC 8620 §5.2: objects that the gateway keeps itself, and what it tells of their changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store import open_store
from gateway.store.base import Store
from gateway.sync.journal import UnknownState
from gateway.sync.records import Kept, Records


@pytest.fixture
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    opened = open_store("memory://", None, tmp_path_factory.mktemp("data"))
    yield opened
    await opened.close()


async def test_what_is_put_is_found_by_whoever_looks_next(store: Store) -> None:
    first = Records(store.durable, "a1", "things")
    await first.change(lambda kept: kept.put("x", {"name": "X", "list": [1, None]}))
    found = await Records(store.durable, "a1", "things").load()
    assert found.value("x") == {"name": "X", "list": [1, None]}
    assert found.value("y") is None


async def test_accounts_and_kinds_are_apart(store: Store) -> None:
    await Records(store.durable, "a1", "things").change(lambda kept: kept.put("x", {}))
    assert not (await Records(store.durable, "a2", "things").load()).records
    assert not (await Records(store.durable, "a1", "others").load()).records


async def test_a_state_that_was_told_when_there_was_nothing_stays_good(store: Store) -> None:
    records = Records(store.durable, "a1", "things")
    state = (await records.load()).state
    kept = await records.change(lambda kept: kept.put("x", {}))
    assert kept.changes(state, 9).created == ["x"]


async def test_of_many_who_change_at_once_nobody_is_undone(store: Store) -> None:
    async def add(number: int) -> None:
        records = Records(store.durable, "a1", "things")
        await records.change(lambda kept: kept.put(f"x{number}", {"n": number}))

    await asyncio.gather(*map(add, range(8)))
    kept = await Records(store.durable, "a1", "things").load()
    assert sorted(kept.records) == [f"x{n}" for n in range(8)]


async def test_what_an_edit_raises_is_raised_and_nothing_changed(store: Store) -> None:
    records = Records(store.durable, "a1", "things")
    before = await records.load()

    def edit(_: Kept) -> Kept:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await records.change(edit)
    assert await records.load() == before


def test_the_same_again_is_no_change() -> None:
    kept = Kept("e").put("x", {"a": 1})
    assert kept.put("x", {"a": 1}) is kept
    assert kept.without("y") is kept


@pytest.mark.parametrize("state", ["", "e", "e.", "f.0", "e.5", "e.-1", "e.0.0"])
def test_states_of_others_are_not_known(state: str) -> None:
    kept = Kept("e").put("x", {})
    with pytest.raises(UnknownState):
        kept.changes(state, 9)


def test_states_from_before_what_is_remembered_are_not_known() -> None:
    kept = Kept("e")
    for number in range(600):
        kept = kept.put(f"x{number}", {}).without(f"x{number}")
    with pytest.raises(UnknownState):
        kept.changes("e.1", 9)
    assert kept.changes(kept.state, 9).state == kept.state
    assert not kept.changes("e.1100", 900).destroyed  # they came and went since


_IDS = st.sampled_from("abcdef")
_STEPS = st.lists(st.tuples(_IDS, st.one_of(st.none(), st.integers(0, 2))), max_size=20)


@given(_STEPS, _STEPS, st.integers(1, 4))
def test_a_client_that_follows_page_by_page_has_what_there_is(
    before: list[tuple[str, int | None]], after: list[tuple[str, int | None]], most: int
) -> None:
    kept = _after(Kept("e"), before)
    known = {id_: record.value for id_, record in kept.records.items()}
    state = kept.state
    kept = _after(kept, after)
    while True:
        page = kept.changes(state, most)
        told = [*page.created, *page.updated, *page.destroyed]
        assert len(told) == len(set(told)) <= most
        assert set(told) <= kept.touched_since(state)
        for id_ in (*page.created, *page.updated):
            if (value := kept.value(id_)) is not None:
                known[id_] = value
        for id_ in page.destroyed:
            known.pop(id_, None)
        if not page.has_more:
            break
        assert page.state != state
        state = page.state
    assert page.state == kept.state
    assert known == {id_: record.value for id_, record in kept.records.items()}


def _after(kept: Kept, steps: list[tuple[str, int | None]]) -> Kept:
    """Ids that were destroyed are not used again."""
    for id_, number in steps:
        if number is None:
            kept = kept.without(id_)
        elif id_ not in {each.id for each in kept.gone}:
            kept = kept.put(id_, {"n": number})
    return kept
