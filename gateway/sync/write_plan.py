r"""Design §9: from what is to be so of Emails to the few IMAP commands that make it so.

A plan is made from the index as it is, and has only what is not so yet. So after an interruption
the account is read again and planned again, and nothing is done twice. In each mailbox keywords
are stored first, then copies are made, then messages moved, and last removed: whatever fails, no
message is ever in no mailbox that is to be in one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from gateway.sync.data import AccountData

_SYSTEM_FLAGS = {
    "$seen": "\\Seen",
    "$flagged": "\\Flagged",
    "$answered": "\\Answered",
    "$draft": "\\Draft",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be so of an Email: keywords, and ids of mailboxes, to be there or not.

    destroy: it is to be in no mailbox, whatever else is said.
    """

    add_keywords: frozenset[str] = frozenset()
    remove_keywords: frozenset[str] = frozenset()
    add_mailboxes: frozenset[str] = frozenset()
    remove_mailboxes: frozenset[str] = frozenset()
    destroy: bool = False


class Verb(IntEnum):
    """What a step does, in the order in which that is done in a mailbox."""

    STORE = 1
    COPY = 2
    MOVE = 3
    REMOVE = 4


class Action(NamedTuple):
    """One kind of command: to the messages of mailbox `number`; `target` is of COPY and MOVE."""

    number: int
    verb: Verb
    target: int = -1
    add: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()


@dataclass(slots=True)
class Step:
    """An action, with the UIDs it is about, and the row of the Email each of them belongs to."""

    action: Action
    rows: dict[int, int] = field(default_factory=dict)

    def without(self, rows: Iterable[int]) -> Step:
        """The same for fewer Emails."""
        left_out = set(rows)
        return Step(self.action, {u: r for u, r in self.rows.items() if r not in left_out})


def flag_of(keyword: str) -> str:
    """RFC 8621 §4.1.1: the IMAP flag of a keyword."""
    return _SYSTEM_FLAGS.get(keyword.lower(), keyword)


def inverses(data: AccountData, orders: Mapping[int, Order]) -> dict[int, Order]:
    """What takes each order back, as the Emails are now."""
    ids = {number: id_ for id_, number in data.numbers.items()}
    keywords = data.index.keywords
    back = {}
    for row, order in orders.items():
        had = keywords.keywords(keywords.unpack(data.emails.bits[row])).keys()
        was_in = {ids[number] for number, _ in data.emails.placements(row)}
        back[row] = Order(
            add_keywords=order.remove_keywords & had,
            remove_keywords=order.add_keywords - had,
            add_mailboxes=order.remove_mailboxes & was_in,
            remove_mailboxes=order.add_mailboxes - was_in,
        )
    return back


def plan(data: AccountData, orders: Mapping[int, Order]) -> list[Step]:
    """The steps that are left to be taken, those of one mailbox in a row.

    orders: by row; Emails that are gone need nothing, and get nothing.
    """
    steps: dict[Action, dict[int, int]] = defaultdict(dict)
    kept: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row, order in orders.items():
        removed = set()
        for action, uid in _moves(data, row, order):
            steps[action][uid] = row
            if action.verb is Verb.REMOVE:
                removed.add((action.number, uid))
        if order.add_keywords or order.remove_keywords:
            for number, uid in data.emails.placements(row):
                if (number, uid) not in removed:
                    kept[number].append((uid, row))
    for number, messages in kept.items():
        for action, uid, row in _stores(data, number, messages, orders):
            steps[action][uid] = row
    found = [Step(action, rows) for action, rows in steps.items()]
    return sorted(found, key=lambda step: (step.action.number, step.action.verb))


def _moves(data: AccountData, row: int, order: Order) -> Iterable[tuple[Action, int]]:
    """What is done to the placements of one Email."""
    placements = data.emails.placements(row)
    if not placements:
        return
    if order.destroy:
        for number, uid in placements:
            yield Action(number, Verb.REMOVE), uid
        return
    there = {number for number, _ in placements}
    wanted = [data.numbers[id_] for id_ in sorted(order.add_mailboxes)]
    targets = [number for number in wanted if number not in there]
    unwanted = {data.numbers[id_] for id_ in order.remove_mailboxes if id_ in data.numbers}
    leaving = [(number, uid) for number, uid in placements if number in unwanted]
    # What leaves one mailbox for another is moved; a second target gets a copy before that.
    source = leaving[0] if leaving else placements[0]
    if leaving and targets:
        *copied, moved = targets
        yield Action(source[0], Verb.MOVE, moved), source[1]
        leaving = leaving[1:]
    else:
        copied = targets
    for target in copied:
        yield Action(source[0], Verb.COPY, target), source[1]
    for number, uid in leaving:
        yield Action(number, Verb.REMOVE), uid


def _stores(
    data: AccountData, number: int, messages: list[tuple[int, int]], orders: Mapping[int, Order]
) -> Iterable[tuple[Action, int, int]]:
    """The keywords that messages of one mailbox, given as UID and row, lack or have too many."""
    columns, keywords = data.index.mailbox(number), data.index.keywords
    at = columns.positions(np.array([uid for uid, _ in messages], np.uint32))
    for (uid, row), position in zip(messages, at.tolist(), strict=True):
        if position < 0:
            continue
        order = orders[row]
        bits = keywords.unpack(columns.bits[position])
        add = frozenset(k for k in order.add_keywords if not bits & keywords.bit(k))
        remove = frozenset(k for k in order.remove_keywords if bits & keywords.bit(k))
        if add or remove:
            yield Action(number, Verb.STORE, add=add, remove=remove), uid, row
