"""RFC 8621 §4.4.1: the FilterConditions of Email that the columns of the index answer.

Each condition is one row: its kind, and a function from the account's data and the value to the
rows that match. Those on text are in text_search, and how they combine is in filter_tree.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np

from gateway.jmap.kinds import BOOLEAN, ID, STRING, UNSIGNED_INT, UTC_DATE, list_of
from gateway.jmap.spec import Condition, Filter, FilterCondition
from gateway.sync.arrays import Mask
from gateway.sync.data import AccountData
from gateway.sync.emails import YES
from gateway.sync.keywords import select

Test = Callable[[AccountData, Any], Mask]


def uses(filter_: Filter | None, condition: str) -> bool:
    """Whether a filter has a condition of that name anywhere."""
    if filter_ is None:
        return False
    if isinstance(filter_, FilterCondition):
        return condition in filter_.values
    return any(uses(inner, condition) for inner in filter_.conditions)


def only_mailbox(filter_: Filter | None) -> str | None:
    """The mailbox id when the filter says nothing else than inMailbox."""
    if isinstance(filter_, FilterCondition) and filter_.values.keys() == {"inMailbox"}:
        mailbox_id: str = filter_.values["inMailbox"]
        return mailbox_id
    return None


def in_mailbox(data: AccountData, mailbox_id: str) -> Mask:
    """The Emails of a mailbox; none when there is no such mailbox."""
    mask = np.zeros(data.emails.size, np.bool_)
    number = data.numbers.get(mailbox_id)
    if number is not None:
        mask[data.index.rows_in(number)] = True
    return mask


def in_mailbox_other_than(data: AccountData, mailbox_ids: list[str]) -> Mask:
    """The Emails with at least one mailbox that is not listed."""
    mask = np.zeros(data.emails.size, np.bool_)
    for id_, number in data.numbers.items():
        if id_ not in mailbox_ids:
            mask[data.index.rows_in(number)] = True
    return mask


def timestamp(date: str) -> float:
    """Seconds since 1970 of a checked UTCDate; a leap second (RFC 3339 §5.7) is the one after."""
    if date[17:19] == "60":
        return datetime.fromisoformat(f"{date[:17]}59{date[19:]}").timestamp() + 1
    return datetime.fromisoformat(date).timestamp()


def keyword(data: AccountData, name: str) -> Mask:
    """The Emails that have a keyword."""
    emails = data.emails
    return select(emails.bits[: emails.size], data.index.keywords.bit(name))


def thread_share(data: AccountData, name: str) -> tuple[Mask, Mask]:
    """For each row: whether all, and whether some, Emails of its Thread have a keyword."""
    emails = data.emails
    visible = emails.visible()
    threads = emails.thread[: emails.size]
    having = keyword(data, name) & visible
    size = len(emails.thread_keys)
    every = np.bincount(threads[visible], minlength=size)
    some = np.bincount(threads[having], minlength=size)
    return (some == every)[threads], (some > 0)[threads]


def _before(data: AccountData, date: str) -> Mask:
    mask: Mask = data.emails.received[: data.emails.size] < timestamp(date)
    return mask


def _min_size(data: AccountData, octets: int) -> Mask:
    mask: Mask = data.emails.octets[: data.emails.size] >= octets
    return mask


def _has_attachment(data: AccountData, value: bool) -> Mask:
    mask: Mask = (data.emails.attachment[: data.emails.size] == YES) == value
    return mask


CONDITIONS = (
    Condition("inMailbox", ID, in_mailbox),
    Condition("inMailboxOtherThan", list_of(ID), in_mailbox_other_than),
    Condition("before", UTC_DATE, _before),
    Condition("after", UTC_DATE, lambda data, date: ~_before(data, date)),
    Condition("minSize", UNSIGNED_INT, _min_size),
    Condition("maxSize", UNSIGNED_INT, lambda data, octets: ~_min_size(data, octets)),
    Condition("hasKeyword", STRING, keyword),
    Condition("notKeyword", STRING, lambda data, name: ~keyword(data, name)),
    Condition("allInThreadHaveKeyword", STRING, lambda data, name: thread_share(data, name)[0]),
    Condition("someInThreadHaveKeyword", STRING, lambda data, name: thread_share(data, name)[1]),
    Condition("noneInThreadHaveKeyword", STRING, lambda data, name: ~thread_share(data, name)[1]),
    Condition("hasAttachment", BOOLEAN, _has_attachment),
)
_TESTS: dict[str, Test] = {c.name: c.test for c in CONDITIONS}
NAMES = frozenset(_TESTS)


def test(data: AccountData, name: str, value: Any) -> Mask:
    """Which rows of the Email table match a checked condition, shape (emails.size,)."""
    return _TESTS[name](data, value)
