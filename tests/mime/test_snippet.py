"""RFC 8621 §5: matches in subjects and texts, marked."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.mime.snippet import MAX_OCTETS, MAX_WORDS, marked_preview, marked_subject
from gateway.mime.visible import boundary, visible

pytestmark = pytest.mark.checklist("S01", "S02")
_WELL_FORMED = re.compile(
    r"(?:(?:[^<>&]|&(?:amp|lt|gt);)*<mark>(?:[^<>&]|&(?:amp|lt|gt);)+</mark>)+"
    r"(?:[^<>&]|&(?:amp|lt|gt);)*"
)


@pytest.mark.parametrize(
    ("subject", "words", "marked"),
    [
        ("The Foosball competition", ["foo"], "The <mark>Foo</mark>sball competition"),
        ("Foo foo FOO", ["fOO"], "<mark>Foo</mark> <mark>foo</mark> <mark>FOO</mark>"),
        ("one two", ["two", "one"], "<mark>one</mark> <mark>two</mark>"),
        ("ababa", ["aba"], "<mark>ababa</mark>"),
        ("abcd", ["abc", "bcd"], "<mark>abcd</mark>"),
        ("a phrase of words", ["phrase of"], "a <mark>phrase of</mark> words"),
        ("1 < 2 & 3 > 2", ["2 & 3"], "1 &lt; <mark>2 &amp; 3</mark> &gt; 2"),
        ("<mark>x</mark>", ["mark"], "&lt;<mark>mark</mark>&gt;x&lt;/<mark>mark</mark>&gt;"),
        ("&amp;", ["amp"], "&amp;<mark>amp</mark>;"),
        ("&lt;", ["<"], None),
        ("\"quoted\" 'x'", ["x"], "\"quoted\" '<mark>x</mark>'"),
        ("Straße", ["strasse"], "<mark>Straße</mark>"),
        ("Straße", ["as"], "Str<mark>aß</mark>e"),  # whole characters
        ("Weiss", ["weiß"], "<mark>Weiss</mark>"),
        ("ΟΔΟΣ οδός", ["οδος"], "<mark>ΟΔΟΣ</mark> οδός"),
        ("λόγος ΛΌΓΟΣ", ["ΛΌΓΟΣ"], "<mark>λόγος</mark> <mark>ΛΌΓΟΣ</mark>"),
        ("İstanbul", ["i\u0307stanbul"], "<mark>İstanbul</mark>"),
        ("İİ x", ["X"], "İİ <mark>x</mark>"),  # places are those of the subject
        ("Cafe\u0301 now", ["café"], "<mark>Cafe\u0301</mark> now"),
        ("Café now", ["cafe\u0301", "now"], "<mark>Café</mark> <mark>now</mark>"),
        ("Cafe\u0301", ["cafe"], "<mark>Cafe\u0301</mark>"),  # the accent stays with its letter
        ("ﬁnal Ｆｉｎａｌ", ["final"], "<mark>ﬁnal</mark> <mark>Ｆｉｎａｌ</mark>"),
        ("a👩\u200d👧b", ["👧"], "a<mark>👩\u200d👧</mark>b"),
        ("a👍🏽b", ["👍"], "a<mark>👍🏽</mark>b"),
        ("שלום עולם", ["עולם"], "שלום <mark>עולם</mark>"),
        ("東京都庁", ["京都"], "東<mark>京都</mark>庁"),
        ("nothing", ["else"], None),
        ("nothing", [], None),
        ("nothing", [""], None),
        ("", ["x"], None),
    ],
)
def test_matches_in_subjects_are_marked(subject: str, words: list[str], marked: str | None) -> None:
    assert marked_subject(subject, words) == marked


FILLER = "Lorem ipsum dolor sit amet consectetur "


@pytest.mark.parametrize(
    ("text", "words", "marked"),
    [
        ("A short text.", ["short"], "A <mark>short</mark> text."),
        ("a < b", ["b"], "a &lt; <mark>b</mark>"),
        (
            FILLER * 9 + "here it is " + FILLER * 9,
            ["here"],
            f"…{FILLER * 2}<mark>here</mark> it is {FILLER * 3}Lorem ipsum dolor sit amet…",
        ),
        (
            "one " + FILLER * 20 + "one and two",
            ["one", "two"],
            f"…amet consectetur {FILLER * 5}<mark>one</mark> and <mark>two</mark>",
        ),
        (
            f"one {'x' * 300} one",
            ["one"],
            f"<mark>one</mark> {'x' * 232}…",
        ),
        ("nothing", ["else"], None),
    ],
)
def test_a_preview_is_the_piece_with_the_most_words(
    text: str, words: list[str], marked: str | None
) -> None:
    assert marked_preview(text, words) == marked


def _checked(text: str, words: list[str]) -> str | None:
    """A preview of which everything is true that must always be."""
    marked = marked_preview(text, words)
    if marked is None:
        assert marked_subject(text, words) is None
        return None
    assert len(marked.encode()) <= MAX_OCTETS
    assert _WELL_FORMED.fullmatch(marked)
    cut = marked.removeprefix("…") if not text.startswith("…") else marked
    plain = unescape(re.sub("</?mark>", "", cut))
    assert plain in text or plain.removesuffix("…") in text
    return marked


_TEXT = st.text(
    st.one_of(
        st.sampled_from("ab <>&;ßſİıςΣ\u0301\u0323é\u200d👩👧🏽e\u0307ﬁ각漢…שa"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=400,
)


@given(_TEXT.map(visible), st.lists(_TEXT, max_size=4))
@example("a" * 300, ["a" * 290])
@example("&" * 300, ["&" * 290])
@example("👩\u200d" * 300, ["👩"])
@example("x" + "\u0301" * 300, ["x"])
def test_any_text_has_a_preview_that_is_right(text: str, words: list[str]) -> None:
    _checked(text, words)


@given(st.data())
def test_what_is_in_a_text_is_found_and_shown(data: st.DataObject) -> None:
    text = visible(data.draw(_TEXT))
    start = data.draw(st.integers(0, len(text)))
    word = text[start : start + data.draw(st.integers(1, 30))]
    marked = _checked(text, [word])
    assert (marked is None) == (not word)
    if marked:
        start, end = text.find(word), text.find(word) + len(word)
        assert (marked_subject(text, [word]) or "").count("<mark>") >= 1
        assert boundary(text, start) <= start < end <= boundary(text, end, forward=True)


@given(_TEXT, st.lists(_TEXT, max_size=4))
def test_any_subject_is_shown_whole(subject: str, words: list[str]) -> None:
    marked = marked_subject(subject, words)
    if marked is not None:
        assert _WELL_FORMED.fullmatch(marked)
        assert unescape(re.sub("</?mark>", "", marked)) == unescape(
            subject.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        )


@pytest.mark.parametrize("case", [str.upper, str.lower, str.casefold, str.swapcase])
@given(word=st.text("abcäöüéñçжшщαβγ", min_size=1, max_size=10))
def test_case_makes_no_difference(case: type[str], word: str) -> None:
    assert marked_subject(f"1 {word} 2", [case(word)]) == f"1 <mark>{word}</mark> 2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a" * (1 << 20), ["a"]),
        ("a" * (1 << 20), ["aa", "aaa"]),
        ("ab" * (1 << 19), ["b"]),
        ("x" * (1 << 20) + "needle" + "x" * (1 << 20), ["needle"]),
        ("x" * (1 << 20), ["needle"]),
        ("word " * 10_000, ["word"]),
        ("<&>" * 100_000, ["&"]),
        ("é" * (1 << 18) + "needle" + "é" * 300, ["NEEDLE"]),
        ("👩\u200d" * (1 << 16), ["👩"]),
        ("x" + "\u0301" * (1 << 18), ["x"]),
        ("שלום " * 10_000, ["ם ש"]),
        ("needle", [str(number) for number in range(100_000)]),
        ("a " * 10_000, ["a" * number for number in range(1, 100)]),
    ],
)
def test_hostile_texts_have_previews(text: str, words: list[str]) -> None:
    _checked(text, words)


def test_so_many_words_are_looked_for() -> None:
    words = [f"w{number};" for number in range(MAX_WORDS + 1)]
    marked = marked_subject(" ".join(words), words)
    assert marked is not None
    assert marked.count("<mark>") == MAX_WORDS
