"""RFC 8620 §5.5, RFC 8621 §4.4.2: orders of Emails that are kept while messages arrive."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sync import orders
from gateway.sync.orders import Orders, Rank

keys = st.text("abc", max_size=2)
batches = st.lists(st.lists(keys, max_size=70), max_size=6)


class Column:
    """Keys by row that are only readable once they were loaded, and not for long."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._readable: range = range(0)
        self.reads = 0

    async def load(self, rows: range) -> None:
        await asyncio.sleep(0)
        self._readable = rows
        self.reads += len(rows)

    def key(self, row: int) -> str:
        assert row in self._readable, "read before it was loaded"
        return self.keys[row]


def check(rank: Rank, column: Column) -> None:
    """Ranks order rows as sorted() does, and are equal exactly for equal keys."""
    ranks = rank.ranks.tolist()
    assert len(ranks) == len(column.keys)
    distinct = {key: place for place, key in enumerate(sorted(set(column.keys)), 1)}
    assert ranks == [distinct[key] for key in column.keys]


@pytest.mark.checklist("H03")
@settings(deadline=None)
@given(batches, st.integers(1, 9))
def test_a_rank_is_what_sorting_gives_however_messages_arrive(
    arriving: list[list[str]], step: int
) -> None:
    async def run() -> None:
        column = Column()
        rank = Rank(column.key)
        for batch in arriving:
            column.keys += batch
            await rank.extend(len(column.keys), column.load)
            check(rank, column)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(orders, "_STEP", step)
        asyncio.run(run())


async def test_a_new_message_finds_its_place_without_reading_all() -> None:
    column = Column()
    column.keys = [f"{n % 50:02d}" for n in range(2000)]
    rank = Rank(column.key)
    await rank.extend(2000, column.load)
    for key in ("00", "25", "25a", "49", "99", ""):
        column.keys.append(key)
        column.reads = 0
        await rank.extend(len(column.keys), column.load)
        assert column.reads < 20
        check(rank, column)


async def test_two_who_want_a_rank_make_it_once() -> None:
    column = Column()
    column.keys = list("banana")
    rank = Rank(column.key)
    await asyncio.gather(*(rank.extend(6, column.load) for _ in range(3)))
    assert column.reads == 6
    check(rank, column)


async def test_a_rank_that_could_not_be_made_is_made_by_the_next() -> None:
    column = Column()
    column.keys = list("cab")
    rank = Rank(column.key)

    async def fail(_: range) -> None:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 -- it is this one that was raised
        await rank.extend(3, fail)
    await rank.extend(3, column.load)
    check(rank, column)


def test_orders_are_kept_for_as_long_as_their_version() -> None:
    kept, made = Orders(), itertools.count()

    def make() -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        return np.array([next(made)], np.int32)

    assert [kept.order("a", version, make).tolist() for version in (1, 1, 2, 2, 1)] == [
        [0],
        [0],
        [1],
        [1],
        [2],
    ]
    for number in range(20):
        kept.order(number, 1, make)
    assert kept.order("a", 1, make).tolist() == [23], "long unused orders are let go"
    assert kept.order(19, 1, make).tolist() == [22]
    assert kept.nbytes > 0


def test_a_rank_is_known_by_its_name() -> None:
    kept = Orders()
    assert kept.rank("subject", str) is kept.rank("subject", str)
    assert kept.rank("subject", str) is not kept.rank("from", str)
