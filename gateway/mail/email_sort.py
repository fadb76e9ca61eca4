"""RFC 8621 §4.4.2: the sorts of Email, on the columns of the index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gateway.jmap.spec import COLLATIONS, Comparator, Sort
from gateway.mail import email_filter, sort_keys
from gateway.sync.arrays import Mask, Rows
from gateway.sync.data import AccountData

Column = Callable[[AccountData, Comparator], Any]


def _header(data: AccountData, comparator: Comparator) -> Any:
    return data.orders.rank(*rank_of(data, comparator)).ranks


def rank_of(data: AccountData, comparator: Comparator) -> tuple[tuple[str, str], Any]:
    """Name and key function of the rank that a comparator by a header field needs."""
    key = sort_keys.KEYS[comparator.property]
    collation, headers = comparator.collation, data.headers
    return (comparator.property, collation), lambda row: key(headers.get(row) or b"", collation)


def _keyword(data: AccountData, comparator: Comparator) -> Any:
    return email_filter.keyword(data, comparator.extra["keyword"])


def _all_in_thread(data: AccountData, comparator: Comparator) -> Any:
    return email_filter.thread_share(data, comparator.extra["keyword"])[0]


def _some_in_thread(data: AccountData, comparator: Comparator) -> Any:
    return email_filter.thread_share(data, comparator.extra["keyword"])[1]


_KEYWORD = frozenset({"keyword"})

SORTS = (
    Sort("receivedAt", lambda data, _: data.emails.received[: data.emails.size]),
    Sort("size", lambda data, _: data.emails.octets[: data.emails.size]),
    Sort("from", _header),
    Sort("to", _header),
    Sort("subject", _header),
    Sort("sentAt", _header),
    Sort("hasKeyword", _keyword, needs=_KEYWORD),
    Sort("allInThreadHaveKeyword", _all_in_thread, needs=_KEYWORD),
    Sort("someInThreadHaveKeyword", _some_in_thread, needs=_KEYWORD),
)
_COLUMNS: dict[str, Column] = {s.name: s.key for s in SORTS}
_CHANGES_WITH_KEYWORDS = {s.name for s in SORTS if s.needs}
_BY_HEADER = frozenset(sort_keys.KEYS)

NEWEST_FIRST = Comparator("receivedAt", False, COLLATIONS[0], {})


def is_newest_first(sort: tuple[Comparator, ...]) -> bool:
    """Whether the newest Emails come first, so that they alone answer for the start."""
    return _effective(sort) == (NEWEST_FIRST,)


def _effective(sort: tuple[Comparator, ...]) -> tuple[Comparator, ...]:
    """Without a sort, newest first: the order is the server's choice (RFC 8620 §5.5)."""
    return sort or (NEWEST_FIRST,)


def by_header(sort: tuple[Comparator, ...]) -> list[Comparator]:
    """The comparators whose ranks must be up to date before ordered() is called."""
    return [c for c in sort if c.property in _BY_HEADER]


def ordered(data: AccountData, mask: Mask, sort: tuple[Comparator, ...]) -> Rows:
    """The rows where mask is true, sorted; ties are broken by id, the same way every time."""
    sort = _effective(sort)
    fixed = _fixed_suffix(sort)
    name = tuple((c.property, c.is_ascending, c.collation) for c in fixed)
    every = data.orders.order(name, data.index.members, lambda: _order(data, fixed))
    rows = every[mask[every]]
    for comparator in reversed(sort[: len(sort) - len(fixed)]):
        column = _column(data, comparator)[rows]
        rows = rows[np.argsort(column, kind="stable")]
    return rows


def _fixed_suffix(sort: tuple[Comparator, ...]) -> tuple[Comparator, ...]:
    """The last comparators, which do not look at keywords: their order can be kept."""
    start = len(sort)
    while start and sort[start - 1].property not in _CHANGES_WITH_KEYWORDS:
        start -= 1
    return sort[start:]


def _order(data: AccountData, sort: tuple[Comparator, ...]) -> Rows:
    columns = [_column(data, comparator) for comparator in sort]
    tie_break = data.emails.key[: data.emails.size]
    return np.lexsort((tie_break, *reversed(columns))).astype(np.int32)


def _column(data: AccountData, comparator: Comparator) -> Any:
    """A comparator's column, turned round when it descends."""
    column = _COLUMNS[comparator.property](data, comparator)
    if comparator.is_ascending:
        return column
    return ~column if column.dtype == np.bool_ else -column
