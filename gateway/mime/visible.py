"""RFC 8621 §4.1.4, §5: what a reader sees of a text."""

from __future__ import annotations

import re
import unicodedata

# Invisible characters, by which senders pad their previews and break up words, and those that
# turn the direction of writing, which must not be left turned where a text is cut.
_PADDING = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u2069\ufeff]"
)
_JOINERS = "\u200c\u200d"  # with nothing to join at the ends of words


def visible(text: str) -> str:
    """The words of `text` with one space between them, without what can not be seen."""
    if text.isascii():
        return " ".join(text.split())
    words = (word.strip(_JOINERS) for word in _PADDING.sub("", text).split())
    return " ".join(word for word in words if word)


_MAX_CLUSTER = 32  # code points of one character as a reader sees it


def boundary(text: str, at: int, *, forward: bool = False) -> int:
    """The last place up to `at` that is between two characters as a reader sees them.

    The first one from `at` on if `forward`; `at` itself where there is none near.
    """
    step = 1 if forward else -1
    for place in range(at, at + step * _MAX_CLUSTER, step):
        if place <= 0 or place >= len(text):
            return min(max(place, 0), len(text))
        if not (_continues(text[place]) or text[place - 1] == "\u200d"):
            return place
    return at


def _continues(character: str) -> bool:
    """Whether neither a mark nor a joined character is to be parted from what is before it."""
    if character < "\u0300":
        return False
    return (
        unicodedata.category(character).startswith("M")
        or character == "\u200d"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    )
