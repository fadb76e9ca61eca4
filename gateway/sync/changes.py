"""RFC 8620 §5.2: what was created, updated and destroyed since a state, from the journal.

A journal is one row of events for each type, and a state a place in it; so where there are more
changes than a client wants, the answer ends after some of the events, which is a state like any
other. An object that was touched and is what it was all the same counts as updated: a client may
have seen it in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.sync import ids
from gateway.sync.arrays import Mask
from gateway.sync.data import AccountData
from gateway.sync.events import EmailEvents, followed, merged
from gateway.sync.journal import Entry, Journal, Position

Ints = npt.NDArray[Any]


@dataclass(slots=True)
class Changes:
    """Ids by what happened to them up to `new_state`, which is the latest unless `has_more`."""

    new_state: str
    has_more: bool
    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)

    def note(self, id_: str, was: object, now: object) -> None:
        """An object was touched: whether there was one, and whether there is."""
        if was and now:
            self.updated.append(id_)
        elif now:
            self.created.append(id_)
        elif was:
            self.destroyed.append(id_)


@dataclass(frozen=True, slots=True)
class _Page:
    """The events of some entries up to where the answer ends, and that place, None at the end."""

    parts: list[tuple[Entry, slice]]
    end: Position | None

    def emails(self) -> EmailEvents:
        """Its events of Emails, as those of one commit."""
        return merged([entry.emails.part(events) for entry, events in self.parts])


def _page(journal: Journal, since: Position, limit: int, keys_of: Callable[[Entry], Ints]) -> _Page:
    """As many events as touch `limit` objects; `keys_of` an entry tells which each event does.

    A negative key is of no object.
    """
    parts = [(entry, skip, keys_of(entry)[skip:]) for entry, skip in journal.since(since)]
    keys = np.concatenate([np.zeros(0, np.int64), *(keys for _, _, keys in parts)])
    _, first = np.unique(keys, return_index=True)
    fresh = np.zeros(len(keys), np.int64)
    fresh[first] = keys[first] >= 0
    left = int(np.searchsorted(np.cumsum(fresh), limit, side="right"))
    taken: list[tuple[Entry, slice]] = []
    for entry, skip, some in parts:
        if left < len(some):
            taken.append((entry, slice(skip, skip + left)))
            return _Page(taken, Position(entry.sequence - 1, skip + left))
        taken.append((entry, slice(skip, skip + len(some))))
        left -= len(some)
    return _Page(taken, None)


def _changes(journal: Journal, kind: str, page: _Page) -> Changes:
    if page.end is None:
        return Changes(journal.state(kind), has_more=False)
    return Changes(journal.state_at(page.end), has_more=True)


def emails(data: AccountData, state: str, limit: int) -> Changes:
    """RFC 8621 §4.3. Raises UnknownState."""
    journal = data.journal
    since = journal.position("Email", state)
    page = _page(journal, since, limit, lambda entry: entry.emails.rows)
    changes = _changes(journal, "Email", page)
    touched = page.emails()
    for row, was, now in zip(
        touched.rows.tolist(), touched.was.tolist(), touched.now.tolist(), strict=True
    ):
        changes.note(data.emails.id(row), was, now)
    return changes


def delivered(data: AccountData, state: str) -> list[str]:
    """RFC 8621 §1.5: the Emails that came since a state of EmailDelivery, as they came.

    Not those that were gone for a moment, as some moves look. Raises UnknownState.
    """
    journal = data.journal
    since = journal.position("EmailDelivery", state)
    earlier = sum(
        len(entry.emails.rows) for entry in journal.entries if entry.sequence <= since.sequence
    )
    came = _joined(
        entry.emails.rows[entry.emails.now & ~entry.emails.was]
        for entry, _ in journal.since(since)
        if entry.delivered
    )
    rows = _joined(entry.emails.rows for entry in journal.entries)
    was = _joined(entry.emails.was for entry in journal.entries)
    events = np.flatnonzero(np.isin(rows, came))
    _, first = np.unique(rows[events], return_index=True)
    first = events[first]
    is_new = (first >= earlier) & (was[first] == 0)
    stays = data.emails.visible()[came] & np.isin(came, rows[first[is_new]])
    return [data.emails.id(row) for row in dict.fromkeys(came[stays].tolist())]


def _joined(columns: Iterable[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *columns])


def threads(data: AccountData, state: str, limit: int) -> Changes:
    """RFC 8621 §3.2: a Thread changes when Emails join and leave it. Raises UnknownState."""
    journal, thread = data.journal, data.emails.thread

    def keys_of(entry: Entry) -> Ints:
        flips = entry.emails.was != entry.emails.now
        return np.where(flips, thread[entry.emails.rows], -1)

    since = journal.position("Thread", state)
    page = _page(journal, since, limit, keys_of)
    changes = _changes(journal, "Thread", page)
    flipped = np.concatenate(
        [np.zeros(0, np.int64), *(keys_of(entry)[events] for entry, events in page.parts)]
    )
    before = _present(data, journal.emails_since(since))
    after = _present(data, journal.emails_since(page.end) if page.end is not None else None)
    for row in np.unique(flipped[flipped >= 0]).tolist():
        changes.note(ids.thread_id(int(data.emails.thread_keys[row])), before[row], after[row])
    return changes


def _present(data: AccountData, since: EmailEvents | None) -> Mask:
    """Which Threads there were before some events, by their row."""
    visible = data.emails.visible()
    if since is not None:
        visible[since.rows] = since.was
    present = np.zeros(len(data.emails.thread_keys), np.bool_)
    present[data.emails.thread[: data.emails.size][visible]] = True
    return present


def mailboxes(data: AccountData, state: str, limit: int) -> tuple[Changes, bool]:
    """RFC 8621 §2.2, and whether nothing but counts has changed. Raises UnknownState."""
    journal = data.journal
    since = journal.position("Mailbox", state)
    numbers: dict[str, int] = {}

    def keys_of(entry: Entry) -> Ints:
        ids: Iterable[str] = (event.id for event in entry.mailboxes)
        return np.array([numbers.setdefault(id_, len(numbers)) for id_ in ids], np.int64)

    page = _page(journal, since, limit, keys_of)
    changes = _changes(journal, "Mailbox", page)
    events = [event for entry, part in page.parts for event in entry.mailboxes[part]]
    for event in followed(events).values():
        changes.note(event.id, event.before is not None, event.now)
    only_counts = bool(changes.updated) and not any(event.is_listed for event in events)
    return changes, only_counts
