"""RFC 8621 §4.4.1: words, phrases and escapes of the Strings that filters look for."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.search_words import search_words

pytestmark = pytest.mark.checklist("P10")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", ()),
        (" \t\r\n　", ()),
        ("hello", ("hello",)),
        ("hello  world", ("hello", "world")),
        ("hello　world wide\u00a0web", ("hello", "world", "wide", "web")),
        ("hello hello", ("hello",)),
        ('"hello world"', ("hello world",)),
        ("'hello world'", ("hello world",)),
        ('say "hello   big\r\n world" now', ("say", "hello big world", "now")),
        ('from"the same place"', ("from", "the same place")),
        ('"one""two"', ("one", "two")),
        ('"" \'\' " "', ()),
        (r'"a \"quoted\" word"', ('a "quoted" word',)),
        (r"'it\'s'", ("it's",)),
        (r'"back\\slash"', (r"back\slash",)),
        (r'"one \n"', (r"one \n",)),
        (r"\"escaped outside\"", ('"escaped', 'outside"')),
        (r"C:\mail \\server", (r"C:\mail", r"\server")),
        ("don't stop", ("don't", "stop")),
        ("'don't stop'", ("don't stop",)),
        ("the dogs' tails", ("the", "dogs'", "tails")),
        ("'tis unmatched", ("'tis", "unmatched")),
        ('24" screen', ('24"', "screen")),
        ('"unmatched phrase', ('"unmatched', "phrase")),
        ("'a \"b", ("'a", '"b')),
        ("hell* wor**", ("hell", "wor")),
        ("*", ()),
        ('"hello world"*', ("hello world",)),
        ('"5 * 3"', ("5 * 3",)),
        ("a*b", ("a*b",)),
        ("nul\0led", ("nul", "led")),
        ("cafe\u0301", ("caf\u00e9",)),
    ],
)
def test_words(value: str, words: tuple[str, ...]) -> None:
    assert search_words(value) == words


@given(st.text())
def test_words_can_be_sent_and_stand_in_the_text(value: str) -> None:
    """Whatever is typed: no word is empty, none has a control character, all are in NFC."""
    for word in search_words(value):
        assert word
        assert not any(unicodedata.category(c) == "Cc" and c < "\x80" for c in word)
        assert unicodedata.is_normalized("NFC", word)


@given(st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs", "Z")), min_size=1)))
def test_quoting_keeps_any_words(phrases: list[str]) -> None:
    """A client that escapes what it must gets exactly its phrases looked for."""
    wanted = tuple(dict.fromkeys(unicodedata.normalize("NFC", phrase) for phrase in phrases))
    escaped = [
        "".join("\\" + c if c in "'\"\\" else c for c in f"{phrase} x") for phrase in phrases
    ]
    assert search_words(" ".join(f'"{text}"' for text in escaped)) == tuple(
        dict.fromkeys(f"{phrase} x" for phrase in wanted)
    )


@pytest.mark.parametrize("unit", ["' ", "'a ", '" ', '\\"', "'\\", "\\", "a' ", '"a\\" '])
def test_long_nonsense_is_read_in_one_pass(unit: str) -> None:
    """A request may have 10 MB; were each quote a search for its match, this would take hours."""
    words = search_words(unit * (2_000_000 // len(unit)))
    assert sum(map(len, words)) <= 2_000_000
