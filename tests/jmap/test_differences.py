"""RFC 8620 §5.6: what /queryChanges sends is right for the algorithm that clients follow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jmap.differences import Difference, difference

OLD = list("abcdef")


@pytest.mark.checklist("I01", "I02", "I07")
@pytest.mark.parametrize(
    ("new", "removed", "added"),
    [
        ("abcdef", "", []),
        ("xabcdef", "", [("x", 0)]),
        ("abcxdefy", "", [("x", 3), ("y", 7)]),
        ("bdef", "ac", []),
        ("xbcdef", "a", [("x", 0)]),
        ("bcdefa", "a", [("a", 5)]),
        ("fabcde", "f", [("f", 0)]),
        ("abdcef", "d", [("d", 2)]),
        ("", "abcdef", []),
    ],
)
def test_difference_is_the_shortest(new: str, removed: str, added: list[tuple[str, int]]) -> None:
    assert difference(OLD, list(new)) == Difference(list(removed), added)
    assert difference([], list(new)).removed == []


@pytest.mark.checklist("I03")
@pytest.mark.parametrize("index", [0, 1, 255, 256, 257, 511, 512, 513, 599])
def test_one_change_is_found_wherever_it_is(index: int) -> None:
    old = list(range(600))
    rest = old[:index] + old[index + 1 :]
    assert difference(old, rest) == Difference([index], [])
    assert difference(rest, old) == Difference([], [(index, index)])
    assert difference(old, [*old[:index], -1, *old[index + 1 :]]) == ([index], [(-1, index)])


@pytest.mark.checklist("I01", "I02")
def test_what_may_have_moved_is_listed_even_if_it_did_not() -> None:
    """The RFC: the server MUST include all Foos for which the property may have changed."""
    found = difference(OLD, list("xabcef"), touched={"b", "d", "e", "elsewhere"})
    assert found == Difference(["b", "d", "e"], [("x", 0), ("b", 2), ("e", 4)])


# --- Anything ------------------------------------------------------------------------------------


def client(cached: Sequence[int | None], found: Difference[int], total: int) -> list[int | None]:
    """The words of RFC 8620 §5.6, for a sparse array of cached ids."""
    ids: list[int | None] = [id for id in cached if id is None or id not in found.removed]
    for id, index in found.added:
        ids += [None] * (index - len(ids))
        ids.insert(index, id)
    return (ids + [None] * (total - len(ids)))[:total]


results = st.lists(st.integers(0, 12), unique=True, max_size=10)
touches = st.frozensets(st.integers(0, 12), max_size=4)
# Long enough for slices that are compared at once; mostly the same, but not quite.
long_results = st.tuples(
    st.integers(200, 1100),
    st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 1200)), max_size=6),
).map(lambda drawn: shifted(*drawn))


def shifted(size: int, moves: list[tuple[int, int]]) -> list[int]:
    """The numbers up to `size`, some taken out and some put elsewhere."""
    numbers = list(range(size))
    for number, index in moves:
        if number in numbers:
            numbers.remove(number)
        if index < size:
            numbers.insert(index, number)
    return numbers


either = st.tuples(results, results) | st.tuples(long_results, long_results)


@pytest.mark.checklist("I01", "I02", "I03")
@given(either, touches)
def test_client_has_the_new_results_in_the_end(
    pair: tuple[list[int], list[int]], touched: frozenset[int]
) -> None:
    old, new = pair
    found = difference(old, new, touched)
    assert client(old, found, len(new)) == new
    assert set(found.removed) >= (set(old) - set(new)) | (touched & set(old))
    assert set(found.removed) <= set(old)
    again = {id for id, _ in found.added}
    assert again == (set(new) - set(old)) | (set(new) & set(found.removed))
    indexes = [index for _, index in found.added]
    assert indexes == sorted(set(indexes))


@pytest.mark.checklist("I03")
@given(either, touches, st.integers(0, 1200))
def test_client_that_has_the_first_ones_only_is_right_as_far_as_it_goes(
    pair: tuple[list[int], list[int]], touched: frozenset[int], held: int
) -> None:
    old, new = pair
    cached = [*old[:held], *([None] * len(old[held:]))]
    found = difference(old, new, touched)
    now = client(cached, found, len(new))
    check_start(now, new, [id for id in old[:held] if id not in found.removed])


def check_start(now: list[int | None], new: list[int], kept: list[int]) -> None:
    """`now` has no hole and no mistake up to the last one it `kept`, and no mistake beyond."""
    assert len(now) == len(new)
    start = new.index(kept[-1]) + 1 if kept else 0
    assert now[:start] == new[:start]
    assert all(mine in (None, right) for mine, right in zip(now, new, strict=True))


@given(st.permutations(range(7)), st.integers(0, 7))
def test_no_difference_is_shorter(new: list[int], size: int) -> None:
    """As many stay as the longest subsequence that is in order has, found by trying all."""
    old = list(range(size))
    numbers = [number for number in new if number < size]
    longest = max(
        length
        for length in range(len(numbers) + 1)
        for some in combinations(numbers, length)
        if list(some) == sorted(some)
    )
    assert len(difference(old, new).removed) == size - longest
    assert len(difference(old, new).added) == len(new) - longest
