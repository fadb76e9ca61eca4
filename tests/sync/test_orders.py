"""RFC 8620 §5.5, RFC 8621 §4.4.2: orders of Emails that are kept while messages arrive."""

from __future__ import annotations

import asyncio
from functools import partial

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


async def test_who_waited_while_more_rows_were_taken_in_has_them_too() -> None:
    column = Column()
    column.keys = list("banana")
    rank = Rank(column.key)
    await asyncio.gather(rank.extend(6, column.load), rank.extend(4, column.load))
    check(rank, column)


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=80), max_size=6))
def test_an_order_is_what_sorting_gives_however_messages_arrive(
    arriving: list[list[tuple[int, int]]],
) -> None:
    kept, rows = Orders(), list[tuple[int, int]]()
    for batch in arriving:
        rows += batch
        columns = [np.array([row[at] for row in rows], np.int64) for at in (0, 1)]
        order = kept.order("a", len(rows), partial(list, columns))
        assert [rows[at] for at in order.tolist()] == sorted(rows)


def test_an_order_is_made_anew_only_when_rows_came_or_it_was_not_used_for_long() -> None:
    kept, made = Orders(), list[int]()

    def columns(size: int) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
        made.append(size)
        return [np.arange(size, dtype=np.int64)]

    for size in (0, 0, 5, 5, 6):
        assert len(kept.order("a", size, partial(columns, size))) == size
    assert made == [0, 5, 6]
    for number in range(20):
        kept.order(number, 1, partial(columns, 1))
    kept.order("a", 6, partial(columns, 6))
    assert made[-1] == 6, "long unused orders are let go"
    count = len(made)
    kept.order(19, 1, partial(columns, 1))
    assert len(made) == count
    assert kept.nbytes > 0


def test_a_rank_is_known_by_its_name() -> None:
    kept = Orders()
    assert kept.rank("subject", str) is kept.rank("subject", str)
    assert kept.rank("subject", str) is not kept.rank("from", str)
