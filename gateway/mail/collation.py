"""RFC 4790 §9.2, RFC 5051: what the collations of a Comparator (RFC 8620 §5.5) compare."""

from __future__ import annotations

import unicodedata

from gateway.jmap.spec import COLLATIONS

_, _ASCII_CASEMAP = COLLATIONS
_ASCII_UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}


def sort_key(text: str, collation: str) -> str:
    """Strings that compare as the texts do in a collation.

    i;ascii-casemap: in upper case, of ASCII only. i;unicode-casemap: in title case, decomposed.
    Both order by octets of UTF-8, which is the order of code points.
    """
    if text.isascii():
        return text.upper()
    if collation == _ASCII_CASEMAP:
        return text.translate(_ASCII_UPPER)
    return unicodedata.normalize("NFKD", "".join(map(_titled, text)))


def _titled(character: str) -> str:
    """RFC 5051 §2 step 2a: only where UnicodeData.txt has a single character for it."""
    titled = character.title()
    return titled if len(titled) == 1 else character
