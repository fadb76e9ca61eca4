"""RFC 8621 §4.1.4: preview."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime.preview import MAX_CHARACTERS, preview, preview_of

pytestmark = pytest.mark.checklist("N23")
TORTURE = Path(__file__).parents[3] / "shared" / "corpus" / "torture"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Hello,\n\nhow are   you?\n", "Hello, how are you?"),
        ("tab\tand\r\nline\u00a0end", "tab and line end"),
        ("Answer.\n\n-- \nJane\nACME Inc.", "Answer."),
        ("> question\nAnswer.", "Answer."),
        ("On Monday, Jane wrote:\n> question\n> more\n\nAnswer.", "Answer."),
        ("Answer.\n\nJane wrote:\n\n> question", "Answer."),
        ("> only a quote", "> only a quote"),
        ("-- \nonly a signature", "-- only a signature"),
        ("a\0b\x1bc", "abc"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("", ""),
        (" \n\t", ""),
        ("News\n----------\n * * *\nOne\n=-=-=-=", "News * * * One"),
        ("-----\n", "-----"),
        ("Click here<https://example.test/?a=1> or [cid:logo] there", "Click here or there"),
        ("<https://example.test/>", "<https://example.test/>"),
        ("[image: Logo]\n1 < 2 [sic] a<b>", "1 < 2 [sic] a<b>"),
    ],
)
def test_text_becomes_one_line(text: str, shown: str) -> None:
    assert preview(text, is_html=False) == shown


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<p>Hello,</p><p>how <b>are</b> you?</p>", "Hello, how are you?"),
        ("<blockquote>quoted <blockquote>twice</blockquote></blockquote>answer", "answer"),
        ("<blockquote>only a quote</blockquote>", "only a quote"),
        ("<p>Answer<div>Jane wrote:<br></div><blockquote>question</blockquote>more", "Answer more"),
        ("Jane wrote:<blockquote>question</blockquote>Answer", "Answer"),
        ('<img src="cid:1" alt="Summer &amp; sale"><img alt="">', "Summer & sale"),
        ('<img alt="Logo"><p>Hello', "Hello"),
        ("<!DOCTYPE html><title>no</title><p>", ""),
        ("", ""),
    ],
)
def test_html_becomes_one_line(html: str, shown: str) -> None:
    assert preview(html, is_html=True) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("", " \r\n\u00a0\u200b", "This email must be viewed in HTML mode.\r\n"),
        "This is an HTML message. Please use an HTML capable mail program to read this message.",
        "Diese Nachricht ist im HTML-Format.",
    ],
)
def test_a_word_about_the_html_is_not_shown_in_its_place(text: str) -> None:
    assert preview_of([(text, False), ("<p>Hello", True)]) == "Hello"
    assert preview_of([(text, False), ("<p>", True)]) == preview(text, False)
    assert preview_of([(text, False)]) == preview(text, False)


@pytest.mark.parametrize(
    "text",
    [
        *("Hi", "See https://example.test/index.html", "See example.test/html/", "xhtml"),
        "About HTML: " + "there is much to say. " * 20,
    ],
)
def test_what_people_write_is_shown(text: str) -> None:
    assert preview_of([(text, False), ("<p>Hello", True)]) == preview(text, False)


def test_padding_does_not_use_up_what_is_read() -> None:
    assert preview("Hi" + "&zwnj;&nbsp;" * 2_000 + "<p>you", is_html=True) == "Hi you"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a" * 300, "a" * 256),
        ("a" * 256, "a" * 256),
        ("a" * 255 + "e\u0301", "a" * 255),  # a mark goes with its letter
        ("a" * 255 + "😀", "a" * 255),  # two UTF-16 code units
        ("a" * 254 + "😀b", "a" * 254 + "😀"),
        ("a" * 252 + "👩\u200d👧", "a" * 252),  # joined into one character
        ("a" * 253 + "👍🏽", "a" * 253),  # with its skin tone
        ("a" * 255 + " b", "a" * 255),
        ("a" + "\u0301" * 400, "a" + "\u0301" * 255),
    ],
)
def test_a_preview_ends_between_characters(text: str, kept: str) -> None:
    assert preview(text, is_html=False) == kept


@given(st.text(max_size=400), st.booleans())
def test_any_text_has_a_preview_of_one_line(text: str, is_html: bool) -> None:
    line = preview(text, is_html)
    assert len(line.encode("utf-16-le", "surrogatepass")) <= 2 * MAX_CHARACTERS
    assert line == line.strip()
    assert not any(unicodedata.category(c) == "Cc" for c in line)


_MARKUP = ["<p>", "</p>", "<div hidden>", "</div>", "<style>", "</style>", "<!--", "-->", "<"]
_MARKUP += ["&amp;", "x", " ", '"', "'", ">", "<a b='", "<script", "<blockquote>", "é"]


@given(st.lists(st.sampled_from(_MARKUP), max_size=40).map("".join))
def test_any_markup_has_a_preview(html: str) -> None:
    assert len(preview(html, is_html=True)) <= MAX_CHARACTERS


@pytest.mark.skipif(not TORTURE.is_dir(), reason="the corpus of broken messages is not here")
def test_broken_messages_have_previews() -> None:
    for path in sorted(TORTURE.glob("*.eml")):
        text = path.read_bytes().decode("utf-8", "replace")
        assert len(preview(text, True)) <= MAX_CHARACTERS
        assert len(preview(text, False)) <= MAX_CHARACTERS
