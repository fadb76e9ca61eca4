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

from gateway.sync.arrays import Bits, Mask
from gateway.sync.data import AccountData
from gateway.sync.emails import NOWHERE
from gateway.sync.keywords import select, widen

_SYSTEM_FLAGS = {
    "$seen": "\\Seen",
    "$flagged": "\\Flagged",
    "$answered": "\\Answered",
    "$draft": "\\Draft",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be so of an Email: keywords, and ids of mailboxes, to be there or not.

    destroy: it is to be in no mailbox, whatever else is said. stay_mailboxes: where it is already,
    and is to remain, unless others take it to another mailbox.
    """

    add_keywords: frozenset[str] = frozenset()
    remove_keywords: frozenset[str] = frozenset()
    add_mailboxes: frozenset[str] = frozenset()
    remove_mailboxes: frozenset[str] = frozenset()
    destroy: bool = False
    stay_mailboxes: frozenset[str] = frozenset()

    @property
    def moves(self) -> bool:
        """Whether it is about mailboxes."""
        return self.destroy or bool(self.add_mailboxes or self.remove_mailboxes)


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


class Before:
    """What Emails are before orders about them are carried out."""

    def __init__(self, data: AccountData, orders: Mapping[int, Order]) -> None:
        self._keywords = data.index.keywords
        self._orders = orders
        self._bits = dict(zip(orders, data.emails.bits[list(orders)], strict=True))
        ids = {number: id_ for id_, number in data.numbers.items()}
        self._mailboxes = {
            row: {ids[number] for number, _ in data.emails.placements(row)}
            for row, order in orders.items()
            if order.moves
        }

    def inverse(self, row: int) -> Order:
        """What takes the order about an Email back."""
        order, was_in = self._orders[row], frozenset(self._mailboxes.get(row, ()))
        had = frozenset(self._keywords.keywords(self._keywords.unpack(self._bits[row])))
        return Order(
            add_keywords=order.remove_keywords & had,
            remove_keywords=order.add_keywords - had,
            add_mailboxes=was_in if order.destroy else order.remove_mailboxes & was_in,
            remove_mailboxes=order.add_mailboxes - was_in,
            stay_mailboxes=was_in,
        )


def plan(data: AccountData, orders: Mapping[int, Order]) -> list[Step]:
    """The steps that are left to be taken, those of one mailbox in a row.

    orders: by row; Emails that are gone need nothing, and get nothing.
    """
    steps: dict[Action, dict[int, int]] = defaultdict(dict)
    removed: set[tuple[int, int]] = set()
    marked: dict[tuple[frozenset[str], frozenset[str]], list[int]] = defaultdict(list)
    for row, order in orders.items():
        if order.moves:
            for action, uid in _moves(data, row, order):
                steps[action][uid] = row
                if action.verb is Verb.REMOVE:
                    removed.add((action.number, uid))
        if order.add_keywords or order.remove_keywords:
            marked[order.add_keywords, order.remove_keywords].append(row)
    for (add, remove), rows in marked.items():
        for number, uid, row in _unmarked(data, rows, add, remove):
            if (number, uid) not in removed:
                steps[Action(number, Verb.STORE, add=add, remove=remove)][uid] = row
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
    if leaving and not targets and len(leaving) == len(placements):
        # Others have moved it from where it was to stay to where it is not to be: it is put back.
        # When that mailbox is gone, it is left: an update takes no message out of its last one.
        stays = sorted(order.stay_mailboxes & data.numbers.keys())
        targets = [data.numbers[id_] for id_ in stays]
        if not targets:
            return
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


def _unmarked(
    data: AccountData, rows: list[int], add: frozenset[str], remove: frozenset[str]
) -> Iterable[tuple[int, int, int]]:
    """The messages, as mailbox number, UID and row, that lack a keyword or have one too many."""
    emails, keywords = data.emails, data.index.keywords
    bits_of = keywords.bit
    wanted, unwanted = sum(map(bits_of, add)), sum(map(bits_of, remove))
    is_new = not all(map(bits_of, add))  # to the account: no message has one of them

    def differ(bits: Bits) -> Mask:
        bits = widen(bits, keywords.words)
        return select(~bits, wanted) | select(bits, unwanted) | is_new

    table = np.array(rows, np.int32)
    single = (emails.home_mailbox[table] != NOWHERE) & differ(emails.bits[table])
    if emails.copies:
        several = [row for row in rows if row in emails.copies]
        single &= ~np.isin(table, several)
        for row in several:
            for number, uid in emails.placements(row):
                columns = data.index.mailbox(number)
                at = columns.positions(np.array([uid], np.uint32))
                if differ(columns.bits[at])[0]:
                    yield number, uid, row
    found = table[single]
    yield from zip(
        emails.home_mailbox[found].tolist(),
        emails.home_uid[found].tolist(),
        found.tolist(),
        strict=True,
    )
