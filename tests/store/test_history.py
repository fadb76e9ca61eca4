"""Design §6: that the judge of what happened to a log can tell right from wrong."""

from __future__ import annotations

import pytest

from tests.store.history import End, History, Loaded, Replaced

DONE, REFUSED, DOUBT = End.DONE, End.REFUSED, End.DOUBT

# (began, ended, old, new, end) of calls of `replace`, and (began, ended, value) of calls of `load`.
RIGHT: dict[str, tuple[list[bytes], list[Replaced], list[Loaded]]] = {
    "one after another": (
        [b"1", b"2"],
        [Replaced(1, 2, None, b"1", DONE), Replaced(5, 6, b"1", b"2", DONE)],
        [Loaded(0, 0, None), Loaded(3, 4, b"1"), Loaded(7, 8, b"2")],
    ),
    "at once, in either order": (
        [b"2", b"3"],
        [Replaced(1, 4, None, b"1", REFUSED), Replaced(2, 5, None, b"2", DONE),
         Replaced(6, 7, b"2", b"3", DONE)],
        [Loaded(0, 9, b"3"), Loaded(3, 4, None)],
    ),
    "in doubt and applied": ([b"1"], [Replaced(1, 2, None, b"1", DOUBT)], [Loaded(5, 6, None)]),
    "in doubt and absent": ([], [Replaced(1, 2, None, b"1", DOUBT)], []),
    "in doubt, applied, overtaken, made again": (
        [b"1", b"2"],
        [Replaced(1, 2, None, b"1", DOUBT), Replaced(3, 4, b"1", b"2", DONE),
         Replaced(5, 6, None, b"1", REFUSED)],
        [],
    ),
}  # fmt: skip

WRONG: dict[str, tuple[list[bytes], list[Replaced], list[Loaded], str]] = {
    "lost": ([], [Replaced(1, 2, None, b"1", DONE)], [], "was lost"),
    "applied": ([b"1"], [Replaced(1, 2, None, b"1", REFUSED)], [], "was refused"),
    "both won": (
        [b"1", b"2"],
        [Replaced(1, 2, None, b"1", DONE), Replaced(1, 2, None, b"2", DONE)],
        [],
        "does not follow",
    ),
    "refused without a reason": (
        [b"1", b"2"],
        [Replaced(1, 2, None, b"1", DONE), Replaced(3, 4, b"1", b"0", REFUSED),
         Replaced(5, 6, b"1", b"2", DONE)],
        [],
        "was refused",
    ),
    "an old value read": (
        [b"1"],
        [Replaced(1, 2, None, b"1", DONE)],
        [Loaded(3, 4, None)],
        "went back",
    ),
    "read, and not any more": (
        [b"1"],
        [Replaced(1, 9, None, b"1", DONE)],
        [Loaded(2, 3, b"1"), Loaded(4, 5, None)],
        "went back",
    ),
    "read, but never written": ([], [], [Loaded(1, 2, b"1")], "was never in"),
    "read before it was written": (
        [b"1"],
        [Replaced(3, 4, None, b"1", DONE)],
        [Loaded(1, 2, b"1")],
        "came too early",
    ),
}  # fmt: skip


def _history(replaced: list[Replaced], loaded: list[Loaded]) -> History:
    history = History(began=10)
    history.replaced += replaced
    history.loaded += loaded
    return history


@pytest.mark.parametrize(("log", "replaced", "loaded"), RIGHT.values(), ids=RIGHT)
def test_what_can_be_is_believed(
    log: list[bytes], replaced: list[Replaced], loaded: list[Loaded]
) -> None:
    _history(replaced, loaded).check(log)


@pytest.mark.parametrize(("log", "replaced", "loaded", "reason"), WRONG.values(), ids=WRONG)
def test_what_can_not_be_is_not(
    log: list[bytes], replaced: list[Replaced], loaded: list[Loaded], reason: str
) -> None:
    with pytest.raises(AssertionError, match=reason):
        _history(replaced, loaded).check(log)
