"""RFC 8621 §5: what a search found in a text, marked in HTML.

Words are found inside of others and without regard to case, as IMAP SEARCH finds them (RFC 9051
§6.4.4 with i;unicode-casemap, RFC 5051), and full case folding besides: "ss" is in "ß".
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import accumulate, islice
from typing import Final

from gateway.mime.visible import boundary

MAX_OCTETS: Final = 255
"""RFC 8621 §5: of a preview in UTF-8, marks and entities included."""

MAX_WORDS: Final = 64
"""Words that are looked for; nobody reads the marks of more."""

_MAX_MATCHES = 4096  # of all words; of each at least _LEAST_MATCHES
_LEAST_MATCHES = 64
_MAX_BEGINNINGS = 500  # places where the best piece of a text may begin
_MARK, _END_MARK = "<mark>", "</mark>"
_MARKS = len(_MARK) + len(_END_MARK)
_ELLIPSIS = "…"
_ROOM = MAX_OCTETS - 2 * len(_ELLIPSIS.encode())
_MAX_WORD = 40  # characters of a word that is left out rather than cut


@dataclass(frozen=True, slots=True)
class Match:
    """Where a text has words, which may overlap: from `start` up to `end`.

    `words` has a bit for each of the words.
    """

    start: int
    end: int
    words: int


def marked_subject(subject: str, words: Sequence[str]) -> str | None:
    """RFC 8621 §5 `subject`: all of it, None when none of the words is in it."""
    found = matches(subject, words)
    return _marked(subject, found, 0, len(subject)) if found else None


def marked_preview(text: str, words: Sequence[str]) -> str | None:
    """RFC 8621 §5 `preview`: the first piece of a text that has the most of the words in it.

    None when none of them is in the text, of which `visible` has been taken.
    """
    found = matches(text, words)
    if not found:
        return None
    group = _best(text, found)
    start, end = group[0].start, group[-1].end
    room = _ROOM - _octets(text[start:end]) - _MARKS * len(group)
    if room < 0:  # one match that is too long to be shown
        end = _forward(text, start, end, _ROOM - _MARKS)
        group = [Match(start, end, 0)]
    else:
        at = found.index(group[0])
        first = found[at - 1].end if at else 0
        at += len(group)
        last = found[at].start if at < len(found) else len(text)
        before = _reach_back(text, first, start, room // 3)
        after = _reach_on(text, end, last, room - _octets(text[before:start]))
        before = _reach_back(text, first, start, room - _octets(text[end:after]))
        start, end = before, after
    return "".join(
        (
            _ELLIPSIS if start > 0 else "",
            _marked(text, group, start, end),
            _ELLIPSIS if end < len(text) else "",
        )
    )


# --- Finding ------------------------------------------------------------------------------------


def matches(text: str, words: Iterable[str]) -> list[Match]:
    """Where words are in a text, in order and apart from each other; whole characters always."""
    folded, ends = _folded(text)
    sought = dict.fromkeys(word for word in (_folded(word)[0] for word in words) if word)
    found: list[Match] = []
    most = max(_LEAST_MATCHES, _MAX_MATCHES // max(1, len(sought)))
    for number, word in enumerate(islice(sought, MAX_WORDS)):
        at = folded.find(word)
        for _ in range(most):
            if at < 0:
                break
            start, end = at, at + len(word)
            if ends is not None:
                start, end = bisect_right(ends, start), bisect_right(ends, end - 1) + 1
            start, end = boundary(text, start), boundary(text, end, forward=True)
            found.append(Match(start, end, 1 << number))
            at = folded.find(word, at + 1)
    return _merged(sorted(found, key=lambda match: match.start))


def _merged(found: Iterable[Match]) -> list[Match]:
    apart: list[Match] = []
    for match in found:
        if apart and match.start <= apart[-1].end:
            last = apart.pop()
            match = Match(last.start, max(last.end, match.end), last.words | match.words)
        apart.append(match)
    return apart


def _folded(text: str) -> tuple[str, list[int] | None]:
    """Text in folded case, decomposed, and where each character of it ends there.

    None where characters are as many as before.
    """
    if text.isascii():
        return text.lower(), None
    pieces = list(map(_folded_character, text))
    folded = "".join(pieces)
    return folded, None if len(folded) == len(text) else list(accumulate(map(len, pieces)))


@lru_cache(maxsize=4096)
def _folded_character(character: str) -> str:
    decomposed = unicodedata.normalize("NFKD", character)
    return unicodedata.normalize("NFKD", decomposed.casefold())


# --- Choosing -----------------------------------------------------------------------------------


def _best(text: str, found: Sequence[Match]) -> Sequence[Match]:
    """The first neighbours that have the most different words and fit into a preview."""
    best: Sequence[Match] = ()
    most = 0
    for first in range(min(len(found), _MAX_BEGINNINGS)):
        group = _fitting(text, found, first)
        words = 0
        for match in group:
            words |= match.words
        if words.bit_count() > most:
            best, most = group, words.bit_count()
    return best


def _fitting(text: str, found: Sequence[Match], first: int) -> Sequence[Match]:
    """As many matches as fit into a preview, from one of them on, and that one in any case."""
    room = _ROOM
    at = found[first].start
    last = first
    while last < len(found) and found[last].start - at <= room:
        room -= _octets(text[at : found[last].end]) + _MARKS
        if room < 0:
            break
        at = found[last].end
        last += 1
    return found[first : max(last, first + 1)]


# --- Cutting ------------------------------------------------------------------------------------


def _forward(text: str, start: int, stop: int, room: int) -> int:
    """How far text from `start` on can be shown: up to `stop`, as long as there is room."""
    end = start
    while end < stop and (room := room - _octets(text[end])) >= 0:
        end += 1
    return end if end == stop else max(start, boundary(text, end))


def _reach_on(text: str, start: int, stop: int, room: int) -> int:
    """The same, up to the end of a word."""
    end = _forward(text, start, stop, room)
    if end < len(text):
        space = text.rfind(" ", max(start, end - _MAX_WORD), end + 1)
        end = space if space >= 0 else end
    return end


def _reach_back(text: str, stop: int, end: int, room: int) -> int:
    """How far back text up to `end` can be shown: to `stop`, and to the start of a word."""
    start = end
    while start > stop and (room := room - _octets(text[start - 1])) >= 0:
        start -= 1
    if start > 0:
        space = text.find(" ", start - 1, min(end, start + _MAX_WORD))
        start = space + 1 if space >= 0 else min(end, boundary(text, start, forward=True))
    return start


# --- Writing ------------------------------------------------------------------------------------

_WRITTEN_LONGER = re.compile("[&<>]")


def _octets(text: str) -> int:
    """Of UTF-8, once it is escaped."""
    extra = 0
    if _WRITTEN_LONGER.search(text):
        extra = 4 * text.count("&") + 3 * (text.count("<") + text.count(">"))
    return len(text.encode()) + extra


def _marked(text: str, found: Iterable[Match], start: int, end: int) -> str:
    """A piece of text as HTML, with matches marked that are wholly inside of it."""
    pieces: list[str] = []
    for match in found:
        pieces += (escape(text[start : match.start], quote=False), _MARK)
        pieces += (escape(text[match.start : match.end], quote=False), _END_MARK)
        start = match.end
    pieces.append(escape(text[start:end], quote=False))
    return "".join(pieces)
