"""RFC 8621 §4.4.1: the FilterConditions on the text of Emails, as RFC 9051 §6.4.4 search keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.imap.wire import criteria
from gateway.imap.wire.criteria import Criteria
from gateway.jmap.errors import MethodError
from gateway.jmap.kinds import STRING, Kind
from gateway.jmap.spec import COLLATIONS, Condition
from gateway.mail.collation import sort_key
from gateway.mail.email_headers import INDEXED_FIELDS
from gateway.mail.search_words import search_words
from gateway.mime import headers

MAX_OCTETS: Final = 4000
"""Octets of one SEARCH without its UIDs: half of a command line that every server takes."""

HeaderTest = Callable[[bytes], bool]

_FIELD = re.compile(r"[!-9;-~]{1,255}")


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """What the text of an Email has to say, as one SEARCH.

    parts: the same in pieces, which `operator` (AND or OR) joins, for when it is too much for one
    SEARCH (then there are no criteria) or for the server. Of the last pieces there are none.
    in_header: the same as a test of the header fields in the index, where these are enough.
    """

    criteria: Criteria | None
    operator: str = "AND"
    parts: tuple[Text, ...] = ()
    in_header: HeaderTest | None = None


def joined(operator: str, parts: Sequence[Text]) -> Text:
    """Texts under AND or OR. Needs at least one."""
    if len(parts) == 1:
        return parts[0]
    keys = [part.criteria for part in parts if part.criteria is not None]
    if len(keys) == len(parts):
        key = criteria.all_of(*keys) if operator == "AND" else criteria.any_of(*keys)
        if key.octets <= MAX_OCTETS:
            return Text(key, operator, tuple(parts))
    return Text(None, operator, tuple(joined(operator, some) for some in _fitting(parts)))


def _fitting(parts: Sequence[Text]) -> Iterator[list[Text]]:
    """Groups of neighbours that fit into one SEARCH: with "OR ()" around each of them."""
    group: list[Text] = []
    octets = 0
    for part in parts:
        size = part.criteria.octets + len("OR () ") if part.criteria else MAX_OCTETS
        if group and octets + size > MAX_OCTETS:
            yield group
            group, octets = [], 0
        group.append(part)
        octets += size
    yield group


def _in(key: str) -> Callable[[str], Text | None]:
    """How a condition becomes one that looks for words where a search key does."""
    field = key.lower() if key.lower() in INDEXED_FIELDS else None

    def text(value: str) -> Text | None:
        return _of_words(
            value,
            lambda word: criteria.text(key, word),
            lambda word: _contains(field, word) if field else None,
        )

    return text


def _header(value: list[str]) -> Text | None:
    """RFC 8621 §4.4.1 `header`: a name, and what to look for in the field's value, if anything."""
    name, words = value[0], value[1] if len(value) > 1 else ""
    field = name.lower() if name.lower() in INDEXED_FIELDS else None
    return _of_words(
        words,
        lambda word: criteria.header(name, word),
        lambda word: _contains(field, word) if field else None,
    ) or Text(criteria.header(name), in_header=_contains(field, "") if field else None)


def _of_words(
    value: str, key: Callable[[str], Criteria], test: Callable[[str], HeaderTest | None]
) -> Text | None:
    """All of the words of a String, None when it has none. Raises MethodError unsupportedFilter."""
    parts = []
    for word in search_words(value):
        sought = key(word)
        if sought.octets > MAX_OCTETS:
            raise MethodError("unsupportedFilter", "A word to search for is too long.")
        parts.append(Text(sought, in_header=test(word)))
    return joined("AND", parts) if parts else None


def _contains(field: str, word: str) -> HeaderTest:
    """Whether a field with that name (in lower case) contains a word, whatever the case."""
    folded = _folded(word)

    def test(header: bytes) -> bool:
        return any(
            folded in _folded(headers.text(value))
            for name, value in headers.fields(header)
            if name.lower() == field
        )

    return test


def _folded(text: str) -> str:
    return sort_key(text, COLLATIONS[0])


def _is_header(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (1, 2)
        and all(isinstance(item, str) for item in value)
        and _FIELD.fullmatch(value[0]) is not None
    )


_HEADER: Final = Kind("String[] of the name of a header field and what to look for", _is_header)

CONDITIONS: Final = (
    Condition("text", STRING, _in("TEXT")),
    Condition("from", STRING, _in("FROM")),
    Condition("to", STRING, _in("TO")),
    Condition("cc", STRING, _in("CC")),
    Condition("bcc", STRING, _in("BCC")),
    Condition("subject", STRING, _in("SUBJECT")),
    Condition("body", STRING, _in("BODY")),
    Condition("header", _HEADER, _header),
)
_TEXTS: Final[dict[str, Callable[[Any], Text | None]]] = {c.name: c.test for c in CONDITIONS}


def text_of(condition: str, value: Any) -> Text | None:
    """A checked condition on text, None when it says nothing: then every Email matches.

    Raises MethodError unsupportedFilter.
    """
    return _TEXTS[condition](value)
