r"""RFC 9051 §6.4.3: messages that were flagged \Deleted to be removed, and were not removed yet.

Such a copy does not exist for JMAP, so no plan has anything left to do about it. But it is still
there for others, and takes room: it has to go after all, or to be as it was. So have those of
others, whose flag was taken away for the moment (gateway.imap.commands.expunge).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.sync.data import AccountData
from gateway.sync.keywords import DELETED, select
from gateway.sync.placements import MailboxColumns
from gateway.sync.write_plan import Action, Step, Verb

Kept = defaultdict[tuple[int, int], dict[int, int]]
"""Rows by UID, by the number of the mailbox and its UIDVALIDITY."""

_FLAG = frozenset({"\\Deleted"})


class Removals:
    """The messages that are being removed, and those in their way."""

    def __init__(self) -> None:
        self._begun: Kept = defaultdict(dict)
        self._unflagged: Kept = defaultdict(dict)

    def note(self, data: AccountData, step: Step) -> None:
        """A step that removes messages from their mailbox is about to be taken."""
        self._begun[_key(data, step.action.number)] |= step.rows

    def note_unflagged(self, data: AccountData, number: int, uids: Iterable[int]) -> None:
        """Messages of others have lost their flag."""
        columns = data.index.mailbox(number)
        at = columns.positions(np.array([*uids], np.uint32))
        self._unflagged[_key(data, number)] |= _rows(columns, at[at >= 0])

    def left(self, data: AccountData, failed: Container[int]) -> list[Step]:
        """What removes those that are still there, except of the Emails that failed, by row.

        And what gives others their flag back.
        """
        steps = [
            Step(Action(number, Verb.STORE, add=_FLAG), rows)
            for number, rows in _those(data, self._unflagged, deleted=False)
        ]
        return steps + [
            Step(Action(number, Verb.REMOVE), rows)
            for number, half in _those(data, self._begun, deleted=True)
            if (rows := {uid: row for uid, row in half.items() if row not in failed})
        ]

    def undone(self, data: AccountData, failed: Container[int]) -> list[Step]:
        """What makes those of the Emails that failed, by row, as they were."""
        return [
            Step(Action(number, Verb.STORE, remove=_FLAG), rows)
            for number, half in _those(data, self._begun, deleted=True)
            if (rows := {uid: row for uid, row in half.items() if row in failed})
        ]


def _key(data: AccountData, number: int) -> tuple[int, int]:
    return number, data.index.mailbox(number).uidvalidity


def _those(data: AccountData, kept: Kept, *, deleted: bool) -> Iterator[tuple[int, dict[int, int]]]:
    """Rows by UID, for each mailbox, of those that are there and flagged so, or not.

    In a mailbox that was renumbered meanwhile they are known by their rows.
    """
    for (number, uidvalidity), rows in kept.items():
        if number not in data.by_number():
            continue
        columns = data.index.mailbox(number)
        at: npt.NDArray[Any]
        if columns.uidvalidity == uidvalidity:
            at = columns.positions(np.array([*rows], np.uint32))
            at = at[at >= 0]
        else:
            at = np.flatnonzero(np.isin(columns.rows, [*rows.values()]))
        at = at[select(columns.bits[at], DELETED) == deleted]
        if len(at):
            yield number, _rows(columns, at)


def _rows(columns: MailboxColumns, at: npt.NDArray[Any]) -> dict[int, int]:
    return dict(zip(columns.uids[at].tolist(), columns.rows[at].tolist(), strict=True))
