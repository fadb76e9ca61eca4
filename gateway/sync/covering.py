"""RFC 9051 §6.4.4, §9: in which mailboxes Emails are looked at, and by which UID sets."""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace

import numpy as np

from gateway.sync.arrays import Mask, Rows, Uids
from gateway.sync.data import AccountData


def cover(data: AccountData, rows: Mask) -> list[tuple[int, Uids]]:
    """Mailboxes, by number, in which all the Emails of `rows` are, with the UIDs to look at there.

    An Email in several mailboxes is looked at in the one with most of the others: on servers where
    one mailbox has all mail, that one is enough.
    """
    left = np.zeros(data.emails.size, np.bool_)  # more Emails may have come
    left[: len(rows)] = rows
    shown = {number: _shown(data, number) for number in data.by_number()}
    # How many of them are in a mailbox only ever falls, so what was most is at least looked at.
    heap = [(-_count(left, shown[number][0]), number) for number in shown]
    heapify(heap)
    found = []
    while heap:
        number = heap[0][1]
        of_mailbox, uids = shown[number]
        count = _count(left, of_mailbox)
        if not count:
            heappop(heap)
        elif -count > heap[0][0]:
            heapreplace(heap, (-count, number))
        else:
            wanted = np.flatnonzero(left[of_mailbox])
            if data.emails.copies:
                # A message that was copied within its mailbox is there twice.
                _, first = np.unique(of_mailbox[wanted], return_index=True)
                wanted = np.sort(wanted[first])
            found.append((number, uids[wanted]))
            left[of_mailbox] = False
            heappop(heap)
    return found


def _shown(data: AccountData, number: int) -> tuple[Rows, Uids]:
    columns = data.index.mailbox(number)
    shown = columns.shown()
    return columns.rows[shown], columns.uids[shown]


def _count(mask: Mask, rows: Rows) -> int:
    return int(np.count_nonzero(mask[rows]))


def newest_set(every: Uids, wanted: Uids, limit: int) -> tuple[bytes, int]:
    """A set of at most `limit` octets with the greatest of `wanted`, and how many those are.

    At least one. `every` are the UIDs there are: what is between two of them is no reason for two
    ranges. Both are ascending.
    """
    at = np.searchsorted(every, wanted)
    ends = np.flatnonzero(np.diff(at) != 1)
    firsts = np.concatenate(([0], ends + 1))[::-1].tolist()
    lasts = np.concatenate((ends, [len(wanted) - 1]))[::-1].tolist()
    parts: list[bytes] = []
    room, taken = limit + 1, 0
    for first, last in zip(firsts, lasts, strict=True):
        part = b"%d:%d" % (wanted[first], wanted[last]) if first != last else b"%d" % wanted[first]
        room -= len(part) + 1
        if room < 0 and parts:
            break
        parts.append(part)
        taken = len(wanted) - first
    return b",".join(reversed(parts)), taken
