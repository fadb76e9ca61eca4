"""RFC 8621 §4.1.4, §5: what a reader sees of a text."""

from __future__ import annotations

import re

# Invisible characters, by which senders pad their previews and break up words.
_PADDING = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff]"
)
_JOINERS = "\u200c\u200d"  # with nothing to join at the ends of words


def visible(text: str) -> str:
    """The words of `text` with one space between them, without what can not be seen."""
    if text.isascii():
        return " ".join(text.split())
    words = (word.strip(_JOINERS) for word in _PADDING.sub("", text).split())
    return " ".join(word for word in words if word)
