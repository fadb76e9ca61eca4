"""RFC 8621 §4.4.1: the FilterConditions of Email that the columns of the index answer.

Each condition is one row: its kind, a function from a view of the account and the value to the
rows that match, and what that looks at which may change. Those on text are in text_search, and how
they combine is in filter_tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.jmap.kinds import BOOLEAN, ID, STRING, UNSIGNED_INT, UTC_DATE, list_of
from gateway.jmap.spec import Condition, Filter, FilterCondition
from gateway.sync.arrays import Mask
from gateway.sync.emails import YES
from gateway.sync.keywords import select
from gateway.sync.view import Mutable, View


@dataclass(frozen=True, slots=True)
class Test:
    """What a condition means: `matching` gives the rows for a checked value.

    looks_at: what of an Email can change that decides whether it matches.
    """

    matching: Callable[[View, Any], Mask]
    looks_at: Mutable = Mutable.NOTHING


def names(filter_: Filter | None) -> Iterator[str]:
    """The names of all conditions in a filter."""
    if isinstance(filter_, FilterCondition):
        yield from filter_.values
    elif filter_ is not None:
        for inner in filter_.conditions:
            yield from names(inner)


def looks_at(filter_: Filter | None) -> Mutable:
    """What of an Email can change that decides whether a filter matches it."""
    tests = [_TESTS[name] for name in names(filter_) if name in _TESTS]
    return reduce(or_, (test.looks_at for test in tests), Mutable.NOTHING)


def only_mailbox(filter_: Filter | None) -> str | None:
    """The mailbox id when the filter says nothing else than inMailbox."""
    if isinstance(filter_, FilterCondition) and filter_.values.keys() == {"inMailbox"}:
        mailbox_id: str = filter_.values["inMailbox"]
        return mailbox_id
    return None


def _in_mailbox(view: View, mailbox_id: str) -> Mask:
    """The Emails of a mailbox; none when there is no such mailbox."""
    number = view.data.number(mailbox_id)
    return np.zeros(view.size, np.bool_) if number is None else view.in_mailbox(number)


def _in_mailbox_other_than(view: View, mailbox_ids: list[str]) -> Mask:
    """The Emails with at least one mailbox that is not listed."""
    numbers = map(view.data.number, mailbox_ids)
    return view.in_other_mailbox([number for number in numbers if number is not None])


def timestamp(date: str) -> float:
    """Seconds since 1970 of a checked UTCDate; a leap second (RFC 3339 §5.7) is the one after."""
    if date[17:19] == "60":
        return datetime.fromisoformat(f"{date[:17]}59{date[19:]}").timestamp() + 1
    return datetime.fromisoformat(date).timestamp()


def keyword(view: View, name: str) -> Mask:
    """The Emails that have a keyword."""
    return select(view.bits, view.data.index.keywords.bit(name))


def all_in_thread(view: View, name: str) -> Mask:
    """The rows of the Threads whose Emails all have a keyword."""
    every, having = _per_thread(view, view.visible()), _per_thread(view, _having(view, name))
    mask: Mask = (every == having)[view.emails.thread[: view.size]]
    return mask


def some_in_thread(view: View, name: str) -> Mask:
    """The rows of the Threads of which some Email has a keyword."""
    mask: Mask = (_per_thread(view, _having(view, name)) > 0)[view.emails.thread[: view.size]]
    return mask


def _having(view: View, name: str) -> Mask:
    return keyword(view, name) & view.visible()


def _per_thread(view: View, mask: Mask) -> npt.NDArray[np.int64]:
    threads = view.emails.thread[: view.size][mask]
    return np.bincount(threads, minlength=len(view.emails.thread_keys))


def _before(view: View, date: str) -> Mask:
    mask: Mask = view.emails.received[: view.size] < timestamp(date)
    return mask


def _min_size(view: View, octets: int) -> Mask:
    mask: Mask = view.emails.octets[: view.size] >= octets
    return mask


def _has_attachment(view: View, value: bool) -> Mask:
    mask: Mask = (view.emails.attachment[: view.size] == YES) == value
    return mask


_MAILBOXES, _KEYWORDS = Mutable.MAILBOXES, Mutable.KEYWORDS
_THREAD = Mutable.THREAD_KEYWORDS

CONDITIONS = (
    Condition("inMailbox", ID, Test(_in_mailbox, _MAILBOXES)),
    Condition("inMailboxOtherThan", list_of(ID), Test(_in_mailbox_other_than, _MAILBOXES)),
    Condition("before", UTC_DATE, Test(_before)),
    Condition("after", UTC_DATE, Test(lambda view, date: ~_before(view, date))),
    Condition("minSize", UNSIGNED_INT, Test(_min_size)),
    Condition("maxSize", UNSIGNED_INT, Test(lambda view, octets: ~_min_size(view, octets))),
    Condition("hasKeyword", STRING, Test(keyword, _KEYWORDS)),
    Condition("notKeyword", STRING, Test(lambda view, name: ~keyword(view, name), _KEYWORDS)),
    Condition("allInThreadHaveKeyword", STRING, Test(all_in_thread, _THREAD)),
    Condition("someInThreadHaveKeyword", STRING, Test(some_in_thread, _THREAD)),
    Condition(
        "noneInThreadHaveKeyword",
        STRING,
        Test(lambda view, name: ~some_in_thread(view, name), _THREAD),
    ),
    Condition("hasAttachment", BOOLEAN, Test(_has_attachment)),
)
_TESTS: dict[str, Test] = {c.name: c.test for c in CONDITIONS}
NAMES = frozenset(_TESTS)


def matching(view: View, name: str, value: Any) -> Mask:
    """Which rows of the Email table match a checked condition, shape (view.size,)."""
    return _TESTS[name].matching(view, value)
