"""RFC 8621 §4.1.1: IMAP flags and JMAP keywords, as bits of one number per message.

The first five bits are fixed; every further keyword of the account takes the next bit when it
is first seen. Keywords are compared and shown in lower case.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from gateway.sync.arrays import Bits

SEEN, FLAGGED, ANSWERED, DRAFT, DELETED = (1 << n for n in range(5))
_SYSTEM = {
    b"\\seen": SEEN,
    b"\\flagged": FLAGGED,
    b"\\answered": ANSWERED,
    b"\\draft": DRAFT,
    b"\\deleted": DELETED,
}
_FIXED = ("$seen", "$flagged", "$answered", "$draft", "")
# What RFC 8621 §4.1.1 allows in a keyword: %x21-7E without ( ) { ] % * " \
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,255}")
_WORD = 64
_MASK = (1 << _WORD) - 1
_CACHE_ENTRIES = 4096
_CACHED_OCTETS = 512
MAX_KEYWORDS = 1024
"""Keywords of one account; each costs every message a bit, and further ones are not shown."""


def is_keyword(value: str) -> bool:
    """True when value may be a keyword (RFC 8621 §4.1.1)."""
    return _KEYWORD.fullmatch(value) is not None


class KeywordTable:
    """The keywords of one account and their bits; only ever grows."""

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self._names: list[str] = [*_FIXED, *names]
        self._bits: dict[str, int] = {n: 1 << i for i, n in enumerate(self._names) if n}
        self._parsed: dict[bytes, int] = {}
        self._shown: dict[int, dict[str, bool]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names beyond the fixed ones, in the order of their bits."""
        return tuple(self._names[len(_FIXED) :])

    def extend(self, base: int, names: list[str]) -> None:
        """Take in names that follow the first `base` ones; what else followed these is forgotten.

        It is so that a name that was read and not committed never gets in the way of one that was.
        """
        if list(self.names[base:]) != names:
            self._names[len(_FIXED) + base :] = names
            self._bits = {n: 1 << i for i, n in enumerate(self._names) if n}
            self._parsed.clear()
            self._shown.clear()

    @property
    def words(self) -> int:
        """How many 64-bit words a set of flags takes now."""
        return (len(self._names) + _WORD - 1) // _WORD

    def bit(self, keyword: str) -> int:
        """The bit of a keyword as asked for by a client; 0 when no message can have it."""
        return self._bits.get(keyword.lower(), 0)

    def parse(self, flags: bytes) -> int:
        r"""Bits of a FLAGS list as it stands between its parentheses (b"\\Seen $foo")."""
        known = self._parsed.get(flags)
        if known is not None:
            return known
        bits = 0
        for flag in flags.lower().split():
            bits |= _SYSTEM.get(flag) or self._keyword_bit(flag)
        if len(self._parsed) >= _CACHE_ENTRIES:
            self._parsed.clear()
        if len(flags) <= _CACHED_OCTETS:
            self._parsed[flags] = bits
        return bits

    def _keyword_bit(self, flag: bytes) -> int:
        name = flag.decode("ascii", "replace")
        # \Recent and other system flags, and what no JMAP keyword may hold, are never shown; and
        # NIL is what some servers write among flags for none.
        if not is_keyword(name) or name == "nil":
            return 0
        bit = self._bits.get(name)
        if bit is None:
            if len(self._names) == MAX_KEYWORDS:
                return 0
            bit = self._bits[name] = 1 << len(self._names)
            self._names.append(name)
        return bit

    def parse_column(self, flags: list[bytes]) -> Bits:
        """Bits of many FLAGS lists, shape (len(flags), words)."""
        values = [self.parse(f) for f in flags]
        return self.pack(values)

    def pack(self, values: list[int]) -> Bits:
        """Python integers to rows of 64-bit words, shape (len(values), words)."""
        words = self.words
        out = np.empty((len(values), words), np.uint64)
        if words == 1:
            out[:, 0] = values
        else:
            for word in range(words):
                out[:, word] = [(v >> (word * _WORD)) & _MASK for v in values]
        return out

    def unpack(self, row: npt.NDArray[np.uint64]) -> int:
        """One row of words to one Python integer."""
        value = 0
        for word, part in enumerate(row.tolist()):
            value |= part << (word * _WORD)
        return value

    def keywords(self, bits: int) -> dict[str, bool]:
        """The Email/keywords object of a set of bits; do not modify it."""
        known = self._shown.get(bits)
        if known is None:
            known = {n: True for i, n in enumerate(self._names) if n and bits >> i & 1}
            if len(self._shown) >= _CACHE_ENTRIES:
                self._shown.clear()
            self._shown[bits] = known
        return known


def select(bits: Bits, mask: int) -> npt.NDArray[np.bool_]:
    """Which rows have any bit of mask, shape (len(bits),)."""
    found = np.zeros(len(bits), np.bool_)
    for word in range(bits.shape[1]):
        part = (mask >> (word * _WORD)) & _MASK
        if part:
            found |= (bits[:, word] & np.uint64(part)) != 0
    return found


def widen(bits: Bits, words: int) -> Bits:
    """The same rows with room for `words` words."""
    missing = words - bits.shape[1]
    return np.pad(bits, ((0, 0), (0, missing))) if missing > 0 else bits
