"""Design §6: a bounded cache keeps what was used last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.lru import Cache


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 4))
def test_the_values_used_last_are_kept(keys: list[int], size: int) -> None:
    cache: Cache[int, int] = Cache(size)
    made: list[int] = []

    def make(key: int) -> int:
        made.append(key)
        return key * 10

    used: list[int] = []
    for key in keys:
        before = len(made)
        assert cache.get(key, lambda key=key: make(key)) == key * 10  # type: ignore[misc]
        recent = list(dict.fromkeys(reversed(used)))[:size]
        assert (len(made) > before) == (key not in recent)
        used.append(key)


def test_a_value_that_could_not_be_made_is_asked_for_again() -> None:
    cache: Cache[str, int] = Cache(2)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 // 0)
    assert cache.get("a", lambda: 7) == 7
