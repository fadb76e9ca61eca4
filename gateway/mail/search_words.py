"""RFC 8621 §4.4.1: the words and phrases of a String that a filter looks for."""

from __future__ import annotations

import re
import unicodedata

_SPACES = re.compile(r"[\s\x00-\x1f\x7f]+")
# Within a phrase a backslash takes a quote or a backslash for what it is. Clients escape outside
# of phrases as well.
_ESCAPED = re.compile(r"""\\(["'\\])""")
# Single quotes are mostly apostrophes: a phrase in them begins where a word would, and ends where
# one would. Nothing here goes back, so what is looked at is looked at once. (Atomic groups, as
# possessive quantifiers of alternatives with a lookahead are wrong in Python 3.11.)
_PHRASES = {
    '"': re.compile(r""" "((?> (?: \\["'\\] | [^"] )* ))" """, re.VERBOSE),
    "'": re.compile(r""" '((?> (?: \\["'\\] | [^'] | '(?![ ]|\Z) )* ))' """, re.VERBOSE),
}
_WORD = re.compile(r""" (?> (?: \\["'\\] | [^ "] )+ ) """, re.VERBOSE)


def search_words(value: str) -> tuple[str, ...]:
    """What must all be there for `value` to be found, in NFC, each once; () for nothing to find.

    White space parts words; what stands in matched quotes, single or double, is one phrase, in
    which a run of white space is one space. A `*` at the end of a word, which web mails send for
    "begins with", is dropped: words are found inside of others anyway.
    """
    text = _SPACES.sub(" ", unicodedata.normalize("NFC", value))
    found: dict[str, None] = {}
    quotes = set(_PHRASES)  # those that may still be closed
    at = 0
    while at < len(text):
        if text[at] == " ":
            at += 1
            continue
        phrase = _PHRASES[text[at]].match(text, at) if text[at] in quotes else None
        if phrase is not None:
            at, word = phrase.end(), _ESCAPED.sub(r"\1", phrase[1]).strip()
        else:
            quotes.discard(text[at])
            start, at = at, _end_of_word(text, at, quotes)
            word = _ESCAPED.sub(r"\1", text[start:at]).rstrip("*")
        if word:
            found[word] = None
    return tuple(found)


def _end_of_word(text: str, at: int, quotes: set[str]) -> int:
    """Where the word ends that begins at `at`: at white space, or where a phrase begins."""
    word = _WORD.match(text, at) if '"' in quotes else None
    if word is not None and text[word.end() : word.end() + 1] == '"':
        if _PHRASES['"'].match(text, word.end()):
            return word.end()
        quotes.discard('"')
    space = text.find(" ", at)
    return space if space >= 0 else len(text)
