"""RFC 8621 §4.1.4, §5: what a reader sees of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime.visible import boundary, visible


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a  b\r\n\tc ", "a b c"),
        ("a\u00a0\u2003b", "a b"),
        ("soft\u00adhyphen zero\u200bwidth \ufeff", "softhyphen zerowidth"),
        ("\u200c \u200d x", "x"),
        ("\u202eevil\u202c \u2066isolated\u2069", "evil isolated"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # joins letters of one word
        ("👩\u200d👧", "👩\u200d👧"),
        ("", ""),
    ],
)
def test_words_are_seen_and_padding_is_not(text: str, seen: str) -> None:
    assert visible(text) == seen


@given(st.text())
def test_what_is_seen_is_seen_whole(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize(
    ("text", "at", "back", "forward"),
    [
        ("abc", 1, 1, 1),
        ("ae\u0301b", 2, 1, 3),
        ("a👩\u200d👧b", 2, 1, 4),
        ("a👩\u200d👧b", 3, 1, 4),
        ("a👍🏽b", 2, 1, 3),
        ("\u0301\u0301", 1, 0, 2),
        ("ab", 0, 0, 0),
        ("ab", 2, 2, 2),
        ("a" + "\u0301" * 99, 50, 50, 50),
    ],
)
def test_boundaries_are_between_characters(text: str, at: int, back: int, forward: int) -> None:
    assert boundary(text, at) == back
    assert boundary(text, at, forward=True) == forward
