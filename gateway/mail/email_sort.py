"""RFC 8621 §4.4.2: the sorts of Email, on the columns of the index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from gateway.jmap.spec import COLLATIONS, Comparator, Sort
from gateway.mail import sort_keys
from gateway.mail.email_filter import all_in_thread, keyword, some_in_thread
from gateway.sync.arrays import Mask, Rows
from gateway.sync.data import AccountData
from gateway.sync.view import Mutable, View


@dataclass(frozen=True, slots=True)
class Key:
    """What a sort compares: `column` gives it for each row, for a comparator.

    looks_at: what of an Email can change that decides its place.
    """

    column: Callable[[View, Comparator], Any]
    looks_at: Mutable = Mutable.NOTHING


def _by_header(view: View, comparator: Comparator) -> Any:
    return view.data.orders.rank(*rank_of(view.data, comparator)).ranks


def rank_of(data: AccountData, comparator: Comparator) -> tuple[tuple[str, str], Any]:
    """Name and key function of the rank that a comparator by a header field needs."""
    key = sort_keys.KEYS[comparator.property]
    collation, headers = comparator.collation, data.headers

    def key_of(row: int) -> Any:
        header = headers.get(row)
        return key(header, collation) if header is not None else None

    return (comparator.property, collation), key_of


def _by_keyword(matching: Callable[[View, str], Mask]) -> Callable[[View, Comparator], Mask]:
    return lambda view, comparator: matching(view, comparator.extra["keyword"])


_NEEDED = frozenset({"keyword"})
_THREAD = Mutable.THREAD_KEYWORDS

SORTS = (
    Sort("receivedAt", Key(lambda view, _: view.emails.received[: view.size])),
    Sort("size", Key(lambda view, _: view.emails.octets[: view.size])),
    Sort("from", Key(_by_header)),
    Sort("to", Key(_by_header)),
    Sort("subject", Key(_by_header)),
    Sort("sentAt", Key(_by_header)),
    Sort("hasKeyword", Key(_by_keyword(keyword), Mutable.KEYWORDS), needs=_NEEDED),
    Sort("allInThreadHaveKeyword", Key(_by_keyword(all_in_thread), _THREAD), needs=_NEEDED),
    Sort("someInThreadHaveKeyword", Key(_by_keyword(some_in_thread), _THREAD), needs=_NEEDED),
)
_KEYS: dict[str, Key] = {s.name: s.key for s in SORTS}

NEWEST_FIRST = Comparator("receivedAt", False, COLLATIONS[0], {})


def is_newest_first(sort: tuple[Comparator, ...]) -> bool:
    """Whether the newest Emails come first, so that they alone answer for the start."""
    return effective(sort) == (NEWEST_FIRST,)


def effective(sort: tuple[Comparator, ...]) -> tuple[Comparator, ...]:
    """Without a sort, newest first: the order is the server's choice (RFC 8620 §5.5)."""
    return sort or (NEWEST_FIRST,)


def looks_at(sort: tuple[Comparator, ...]) -> Mutable:
    """What of an Email can change that decides its place."""
    return reduce(or_, (_KEYS[c.property].looks_at for c in sort), Mutable.NOTHING)


def by_header(sort: tuple[Comparator, ...]) -> list[Comparator]:
    """The comparators whose ranks must be up to date before ordered() is called."""
    return [c for c in sort if c.property in sort_keys.KEYS]


def _version(view: View, comparator: Comparator) -> int:
    """Another one when the order by a header field is another one."""
    if comparator.property not in sort_keys.KEYS:
        return 0
    return view.data.orders.rank(*rank_of(view.data, comparator)).version


def ordered(view: View, mask: Mask, sort: tuple[Comparator, ...]) -> Rows:
    """The rows where mask is true, sorted; ties are broken by id, the same way every time."""
    sort = effective(sort)
    fixed = _fixed_suffix(sort)
    name = tuple((c.property, c.is_ascending, c.collation, _version(view, c)) for c in fixed)
    every = view.data.orders.order(name, view.size, lambda: _columns(view, fixed))
    rows = every[mask[every]]
    for comparator in reversed(sort[: len(sort) - len(fixed)]):
        column = _column(view, comparator)[rows]
        rows = rows[np.argsort(column, kind="stable")]
    return rows


def _fixed_suffix(sort: tuple[Comparator, ...]) -> tuple[Comparator, ...]:
    """The last comparators, which look at nothing that changes: their order can be kept."""
    start = len(sort)
    while start and not _KEYS[sort[start - 1].property].looks_at:
        start -= 1
    return sort[start:]


def _columns(view: View, sort: tuple[Comparator, ...]) -> list[Any]:
    """The columns that decide an order, the last one being the ids."""
    return [*(_column(view, comparator) for comparator in sort), view.emails.key[: view.size]]


def _column(view: View, comparator: Comparator) -> Any:
    """A comparator's column, turned round when it descends."""
    column = _KEYS[comparator.property].column(view, comparator)
    if comparator.is_ascending:
        return column
    return ~column if column.dtype == np.bool_ else -column
