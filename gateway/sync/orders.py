"""RFC 8620 §5.5, RFC 8621 §4.4.2: orders of the Email table that are worth keeping.

A Rank is the order of all rows by one header field. It is made once, in steps that let other
work go on, and then kept up as messages arrive: headers do not change, so a new message only has
to find its place. So do they in an order of all rows by several columns.
"""

from __future__ import annotations

import asyncio
import itertools
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.sync.arrays import Mask, Rows

_STEP = 512
_REBUILD_SHARE = 64
_KEPT_ORDERS = 8

_NO_ROWS: Rows = np.zeros(0, np.int32)

Column = npt.NDArray[Any]
KeyOf = Callable[[int], Any]
"""The key of a row, None when it can not be told."""
Load = Callable[[range], Awaitable[None]]


class _Lost(Exception):
    """A key that was known can not be told any more."""


class Rank:
    """Rows by a key that never changes; `ranks[row]` is equal exactly for equal keys.

    unknown: rows whose key could not be told, as they were no Emails when it was asked for; they
    have no place among the others. version: another one whenever such a row has got its place.
    """

    def __init__(self, key_of: KeyOf) -> None:
        self._key_of = key_of
        self._lock = asyncio.Lock()
        self.version = 0
        self._forget()

    def _forget(self) -> None:
        self._size = 0
        self._order: Rows = np.zeros(0, np.int32)
        self._distinct: Mask = np.zeros(0, np.bool_)
        self.ranks: Rows = np.zeros(0, np.int32)
        self.unknown: set[int] = set()

    def clear(self) -> None:
        """Forget all rows."""
        self._forget()
        self.version += 1

    async def extend(self, size: int, load: Load, again: Iterable[int] = ()) -> None:
        """Take in the rows up to size; `load` makes the strings of a range of rows readable.

        again: rows of `unknown` that may be known now.
        """
        async with self._lock:
            known = self._size
            if (size - known) * _REBUILD_SHARE > size:
                await self._rebuild(size, load)
            else:
                try:
                    await self._insert_all(again, range(known, size), load)
                except _Lost:
                    await self._rebuild(max(size, known), load)
            self._size = max(size, known)
            ranks = np.zeros(self._size, np.int32)
            ranks[self._order] = np.cumsum(self._distinct, dtype=np.int32)
            self.ranks = ranks

    async def _rebuild(self, size: int, load: Load) -> None:
        keys: list[Any] = []
        for start in range(0, size, _STEP):
            rows = range(start, min(start + _STEP, size))
            await load(rows)
            keys.extend(map(self._key_of, rows))
            await asyncio.sleep(0)
        known = [row for row in range(size) if keys[row] is not None]
        order = await asyncio.to_thread(sorted, known, key=keys.__getitem__)
        distinct = [keys[a] != keys[b] for a, b in itertools.pairwise(order)]
        self._order = np.array(order, np.int32)
        self._distinct = np.array([True, *distinct] if order else [], np.bool_)
        self.unknown = {row for row in range(size) if keys[row] is None}
        self.version += 1

    async def _insert_all(self, again: Iterable[int], fresh: Iterable[int], load: Load) -> None:
        found = [row for row in again if await self._insert(row, load)]
        self.unknown.difference_update(found)
        self.version += bool(found)
        for row in fresh:
            if not await self._insert(row, load):
                self.unknown.add(row)

    async def _insert(self, row: int, load: Load) -> bool:
        """Put a row in its place; False when it has none yet."""
        await load(range(row, row + 1))
        key = self._key_of(row)
        if key is None:
            return False
        low, high = 0, len(self._order)
        while low < high:
            middle = (low + high) // 2
            if await self._key(int(self._order[middle]), load) < key:
                low = middle + 1
            else:
                high = middle
        if low < len(self._order):
            self._distinct[low] = await self._key(int(self._order[low]), load) != key
        self._order = np.insert(self._order, low, row)
        self._distinct = np.insert(self._distinct, low, True)
        return True

    async def _key(self, row: int, load: Load) -> Any:
        await load(range(row, row + 1))
        key = self._key_of(row)
        if key is None:
            raise _Lost(row)
        return key

    @property
    def nbytes(self) -> int:
        """Octets held."""
        return int(self._order.nbytes + self._distinct.nbytes + self.ranks.nbytes)


class Orders:
    """The ranks of one account, and its latest orders of all rows."""

    def __init__(self) -> None:
        self._ranks: dict[Hashable, Rank] = {}
        self._orders: OrderedDict[Hashable, Rows] = OrderedDict()

    def rank(self, name: Hashable, key_of: KeyOf) -> Rank:
        """The rank of that name, an empty one when it is new."""
        return self._ranks.setdefault(name, Rank(key_of))

    def clear(self) -> None:
        """Forget what is known of rows, some of which are no longer what they were."""
        for rank in self._ranks.values():
            rank.clear()
        self._orders.clear()

    def order(self, name: Hashable, size: int, columns: Callable[[], Sequence[Column]]) -> Rows:
        """The first `size` rows in the order of that name.

        Its columns, the first being the one that counts most, never change for a row.
        """
        known = self._orders.get(name)
        if known is None or len(known) != size:
            known = _NO_ROWS if known is None else known
            known = self._orders[name] = _extended(known, size, columns())
        self._orders.move_to_end(name)
        if len(self._orders) > _KEPT_ORDERS:
            self._orders.popitem(last=False)
        return known

    @property
    def nbytes(self) -> int:
        """Octets held."""
        ranks = sum(rank.nbytes for rank in self._ranks.values())
        return int(ranks + sum(order.nbytes for order in self._orders.values()))


def _extended(order: Rows, size: int, columns: Sequence[Column]) -> Rows:
    """All of `size` rows in order, given the order of the first of them."""
    known = len(order)
    if (size - known) * _REBUILD_SHARE > size:
        return _by(columns, 0, size)
    fresh = _by(columns, known, size)
    return np.insert(order, [_place(order, columns, row) for row in fresh.tolist()], fresh)


def _by(columns: Sequence[Column], start: int, stop: int) -> Rows:
    keys = tuple(column[start:stop] for column in reversed(columns))
    return (start + np.lexsort(keys)).astype(np.int32)


def _place(order: Rows, columns: Sequence[Column], row: int) -> int:
    """How many of the rows in `order` come before another one."""
    key = [column[row] for column in columns]
    return bisect_left(order, key, key=lambda other: [column[other] for column in columns])
