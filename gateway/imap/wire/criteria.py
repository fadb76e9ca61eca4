"""RFC 9051 §6.4.4: search keys. RFC 7162 §3.1.5 (MODSEQ), RFC 5032 (WITHIN)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded, Literal, SequenceSet

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FLAG_KEYS = {
    "\\answered": "ANSWERED",
    "\\deleted": "DELETED",
    "\\draft": "DRAFT",
    "\\flagged": "FLAGGED",
    "\\seen": "SEEN",
}


@dataclass(frozen=True, slots=True)
class Criteria:
    """A search key, or several; `ascii` tells whether they can do without CHARSET UTF-8.

    `is_one` is False for several, which are one only in parentheses. Some servers know none.
    """

    encoded: Encoded
    ascii: bool = True
    is_one: bool = True

    @property
    def octets(self) -> int:
        """The length on the command line, literals included."""
        literals = (part for part in self.encoded.segments if isinstance(part, Literal))
        return len(self.encoded.line) + sum(len(literal.octets) for literal in literals)


ALL = Criteria(encode.atom("ALL"))
EVERY_NUMBER = Criteria(encode.sequence_set(b"1:*"))
"""The same, for servers that do not know ALL."""


def flag(name: str, *, is_set: bool = True) -> Criteria:
    """A system flag (with its backslash) or a keyword, set or not."""
    key = _FLAG_KEYS.get(name.lower())
    if key is not None:
        return Criteria(encode.atom(key if is_set else "UN" + key))
    word = encode.atom("KEYWORD" if is_set else "UNKEYWORD")
    return Criteria(encode.join(word, encode.atom(name)))


def text(key: str, value: str) -> Criteria:
    """SUBJECT, FROM, TO, CC, BCC, BODY or TEXT contains a string."""
    if key not in ("SUBJECT", "FROM", "TO", "CC", "BCC", "BODY", "TEXT"):
        raise ValueError(f"not a search key for text: {key!r}")
    return Criteria(encode.join(encode.atom(key), encode.string(value)), value.isascii())


def header(name: str, value: str = "") -> Criteria:
    """A header field contains a string; with an empty string: it is there."""
    encoded = encode.join(encode.atom("HEADER"), encode.string(name), encode.string(value))
    return Criteria(encoded, name.isascii() and value.isascii())


def day(key: str, value: date) -> Criteria:
    """BEFORE, ON, SINCE (INTERNALDATE) or SENTBEFORE, SENTON, SENTSINCE (the Date field)."""
    if key not in ("BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"):
        raise ValueError(f"not a search key for dates: {key!r}")
    written = f"{value.day}-{_MONTHS[value.month - 1]}-{value.year:04d}"
    return Criteria(encode.join(encode.atom(key), encode.atom(written)))


def size(key: str, octets: int) -> Criteria:
    """LARGER or SMALLER than a number of octets."""
    if key not in ("LARGER", "SMALLER"):
        raise ValueError(f"not a search key for sizes: {key!r}")
    return Criteria(encode.join(encode.atom(key), encode.number(octets)))


def modseq(least: int) -> Criteria:
    """Changed since: mod-sequence of `least` or more. Needs CONDSTORE."""
    return Criteria(encode.join(encode.atom("MODSEQ"), encode.number(least)))


def uids(packed: SequenceSet) -> Criteria:
    """Messages of a set of UIDs."""
    return Criteria(encode.join(encode.atom("UID"), encode.sequence_set(packed)))


def negate(key: Criteria) -> Criteria:
    """NOT a key."""
    return Criteria(encode.join(encode.atom("NOT"), _group(key)), key.ascii)


def any_of(*keys: Criteria) -> Criteria:
    """OR, nested no deeper than need be. Raises ValueError without a key."""
    if not keys:
        raise ValueError("OR needs a key")
    if len(keys) == 1:
        return keys[0]
    middle = len(keys) // 2
    one, other = any_of(*keys[:middle]), any_of(*keys[middle:])
    encoded = encode.join(encode.atom("OR"), _group(one), _group(other))
    return Criteria(encoded, one.ascii and other.ascii)


def all_of(*keys: Criteria) -> Criteria:
    """All of the keys; ALL without one."""
    if not keys:
        return ALL
    if len(keys) == 1:
        return keys[0]
    encoded = encode.join(*(key.encoded for key in keys))
    return Criteria(encoded, all(key.ascii for key in keys), is_one=False)


def _group(key: Criteria) -> Encoded:
    return key.encoded if key.is_one else encode.parenthesised(key.encoded)
