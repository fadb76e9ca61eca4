"""RFC 8620 §5.6: the difference of two results of one query, as /queryChanges sends it.

Items are ids, or whatever a type has in their place until it knows which ids it must send.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item", bound=Hashable)

# Items compared at once: slices are compared in C, and only one that differs is looked through.
_SLICE = 256


class Difference(NamedTuple, Generic[Item]):
    """What to splice out of the old results, and then to splice in: at its index in the new."""

    removed: list[Item]
    added: list[tuple[Item, int]]


def difference(
    old: list[Item], new: list[Item], touched: AbstractSet[Item] = frozenset()
) -> Difference[Item]:
    """The shortest difference that turns `old` into `new`, each of which has distinct items.

    `touched` are items of which a property that filter or sort look at may have changed. The RFC
    wants these removed, and added again if they still match, even if they did not move.
    """
    before, after = _middles(_without(touched, old), _without(touched, new))
    staying = _staying(before, after)
    gone = touched | (set(before) - staying)
    come = touched | (set(after) - staying)
    return Difference(
        removed=[item for item in old if item in gone],
        added=[(item, index) for index, item in enumerate(new) if item in come],
    )


def _without(touched: AbstractSet[Item], items: list[Item]) -> list[Item]:
    return [item for item in items if item not in touched] if touched else items


def _middles(old: list[Item], new: list[Item]) -> tuple[list[Item], list[Item]]:
    """What is between the same start and the same end: most often little in long lists."""
    start = _same_at_start(old, new)
    old, new = old[start:], new[start:]
    end = _same_at_start(old[::-1], new[::-1])
    return old[: len(old) - end], new[: len(new) - end]


def _same_at_start(old: list[Item], new: list[Item]) -> int:
    """How many items are the same at the start of both."""
    most = min(len(old), len(new))
    start = 0
    while start < most and old[start : start + _SLICE] == new[start : start + _SLICE]:
        start += _SLICE
    while start < most and old[start] == new[start]:
        start += 1
    return min(start, most)


def _staying(old: list[Item], new: list[Item]) -> set[Item]:
    """As many of the items in both as are in the same order in both."""
    position = {item: index for index, item in enumerate(old)}
    common = [position[item] for item in new if item in position]
    return {old[index] for index in _longest_ascending(common)}


def _longest_ascending(numbers: list[int]) -> list[int]:
    """The longest ascending subsequence of distinct numbers (one of them), in any order."""
    if all(number < following for number, following in pairwise(numbers)):
        return numbers
    # By length - 1: the least number that a subsequence of this length can end with so far.
    ends: list[int] = []
    before: dict[int, int] = {}
    for number in numbers:
        length = bisect_left(ends, number)
        if length:
            before[number] = ends[length - 1]
        ends[length : length + 1] = [number]
    longest = [ends[-1]]
    while longest[-1] in before:
        longest.append(before[longest[-1]])
    return longest
