r"""RFC 9051 §6.4.3: messages that were flagged \Deleted to be removed, and were not removed yet.

Such a copy does not exist for JMAP, so no plan has anything left to do about it. But it is still
there for others, and takes room: it has to go after all, or to be as it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator

import numpy as np

from gateway.sync.data import AccountData
from gateway.sync.keywords import DELETED, select
from gateway.sync.write_plan import Action, Step, Verb


class Removals:
    """The messages that are being removed."""

    def __init__(self) -> None:
        self._begun: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)

    def note(self, data: AccountData, step: Step) -> None:
        """A step that removes messages from their mailbox is about to be taken."""
        number = step.action.number
        self._begun[number, data.index.mailbox(number).uidvalidity] |= step.rows

    def left(self, data: AccountData, failed: Container[int]) -> list[Step]:
        """What removes those that are still there, except of the Emails that failed, by row."""
        return [
            Step(Action(number, Verb.REMOVE), rows)
            for number, half in self._half_removed(data)
            if (rows := {uid: row for uid, row in half.items() if row not in failed})
        ]

    def undone(self, data: AccountData, failed: Container[int]) -> list[Step]:
        """What makes those of the Emails that failed, by row, as they were."""
        flag = frozenset({"\\Deleted"})
        return [
            Step(Action(number, Verb.STORE, remove=flag), rows)
            for number, half in self._half_removed(data)
            if (rows := {uid: row for uid, row in half.items() if row in failed})
        ]

    def _half_removed(self, data: AccountData) -> Iterator[tuple[int, dict[int, int]]]:
        for (number, uidvalidity), begun in self._begun.items():
            columns = data.index.mailbox(number)
            if number not in data.by_number() or columns.uidvalidity != uidvalidity:
                continue
            uids = np.array([*begun], np.uint32)
            at = columns.positions(uids)
            there = at[at >= 0]
            found = columns.uids[there[select(columns.bits[there], DELETED)]].tolist()
            yield number, {uid: begun[uid] for uid in found}
