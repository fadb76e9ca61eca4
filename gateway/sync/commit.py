"""Design §6: the one place where what was read from the server becomes what the account is.

Checks read into drafts. Then a record of all that is new is made, kept by the store, and applied
in one go: index, mailboxes and journal change together, between two steps of the event loop. So
nobody ever sees an account half way, and each state string stands for one content.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gateway.imap.wire.encode import MAX_UID
from gateway.sync.arrays import Mask
from gateway.sync.data import AccountData, Committed
from gateway.sync.events import EmailEvents, MailboxEvent
from gateway.sync.journal import Entry, chained
from gateway.sync.mailboxes import Mailbox
from gateway.sync.placements import MailboxColumns, Placed
from gateway.sync.record import (
    MailboxChange,
    Newcomers,
    Record,
    difference,
    dump,
    dump_mailbox,
    is_listed_otherwise,
)
from gateway.sync.recorder import Recorder

MOST_HEADERS: Final = 2000
"""Of so many new messages a record has the header fields, too: other nodes need not read them, and
can put in order what is gone before they could."""


@dataclass(slots=True)
class Draft:
    """A mailbox as it was when it began to be read, and as it turns out to be."""

    base: MailboxColumns
    columns: MailboxColumns


@dataclass(slots=True)
class Staged:
    """What a check found out, until it is committed.

    mailboxes: the tree as of the last LIST, None before; drafts: mailboxes that were read to the
    end, by id; closed: mailboxes that are still listed and can not be opened any more.
    """

    mailboxes: dict[str, Mailbox] | None = None
    drafts: dict[str, Draft] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)


def record_of(data: AccountData, staged: Staged) -> Record:
    """All that is new in what a check found, and the rows that were made for it."""
    tree = staged.mailboxes if staged.mailboxes is not None else data.mailboxes
    numbers = data.numbers | data.new_numbers(tree)
    closed = staged.closed & numbers.keys()
    for id_ in closed:
        del numbers[id_]
    changes = []
    for id_, draft in staged.drafts.items():
        if id_ in tree and id_ in numbers:
            draft.columns.number = numbers[id_]
            changes.append(difference(draft.base, draft.columns))
    names = data.index.keywords.names
    return Record(
        time=int(time.time()),
        keyword_base=data.committed.keywords,
        keywords=list(names[data.committed.keywords :]),
        newcomers=_newcomers(data),
        removed=[id_ for id_ in data.mailboxes if id_ not in tree],
        listed=[
            (mailbox, numbers.get(id_))
            for id_, mailbox in tree.items()
            if id_ in closed or _is_new(data.mailboxes.get(id_), mailbox)
        ],
        changes=[change for change in changes if change is not None],
    )


def settle(data: AccountData, staged: Staged) -> None:
    """Once it is committed: take over what is no part of a record."""
    if staged.mailboxes is not None:
        data.refresh(staged.mailboxes)
    for id_, draft in staged.drafts.items():
        columns = data.columns(id_)
        if columns is not None:
            columns.trouble = draft.columns.trouble
            columns.structure_trouble = draft.columns.structure_trouble


def _is_new(held: Mailbox | None, mailbox: Mailbox) -> bool:
    """Whether a Mailbox is new or has changed, or has another name in IMAP."""
    return held is None or dump_mailbox(held) != dump_mailbox(mailbox)


def _newcomers(data: AccountData) -> Newcomers:
    emails, base = data.emails, data.committed.rows
    rows = slice(base, emails.size)
    return Newcomers(
        base=base,
        digests=emails.digests(base),
        given=emails.given[base:] if emails.given is not None else None,
        threads=emails.thread_keys[emails.thread[rows]],
        received=emails.received[rows].copy(),
        octets=emails.octets[rows].copy(),
        headers=[data.headers.get(row) for row in range(base, emails.size)]
        if emails.size - base <= MOST_HEADERS
        else [],
    )


def apply(data: AccountData, record: Record) -> Entry:
    """Do what a record says, which was made on the account as it is; returns the journal's entry.

    Rows and keywords that are not committed yet must be those of the record, or none.
    """
    trash = data.trash
    data.settle_counts()
    recorder = data.index.recorder = Recorder(data.emails)
    try:
        _append(data, record)
        before = _list(data, record)
        for change in record.changes:
            _apply_change(data, change)
    finally:
        data.index.recorder = None
    events = recorder.events()
    data.follow_counts(events, trash)
    data.is_indexed = data.complete
    entry = Entry(
        sequence=data.journal.head.sequence + 1,
        digest=chained(data.journal.head.digest, dump(record)),
        time=record.time,
        emails=events,
        mailboxes=_mailbox_events(data, before),
        delivered=bool((events.now & ~events.was & (events.rows >= record.newcomers.base)).any()),
    )
    data.journal.append(entry)
    return entry


def _append(data: AccountData, record: Record) -> None:
    """Make the rows and keywords of a record, unless they were made when it was."""
    new, emails = record.newcomers, data.emails
    if emails.size == new.base and len(new):
        emails.append(new.digests, new.given)
        rows = slice(new.base, emails.size)
        emails.received[rows], emails.octets[rows] = new.received, new.octets
        emails.thread[rows] = emails.threads(new.threads)
        known = [(new.base + at, h) for at, h in enumerate(new.headers) if h is not None]
        data.headers.put([row for row, _ in known], [header for _, header in known])
    data.index.keywords.extend(record.keyword_base, record.keywords)
    data.committed = Committed.of(data.index)


def _list(data: AccountData, record: Record) -> dict[str, Mailbox]:
    """Bring the tree of mailboxes up to date; returns what it was."""
    before = data.mailboxes
    mailboxes = dict(before)
    for id_ in record.removed:
        del mailboxes[id_]
        data.let_go(id_)
    for mailbox, number in record.listed:
        mailboxes[mailbox.id] = mailbox
        data.place_mailbox(mailbox, number)
        if number is not None and not before and mailbox.status is not None:
            data.index.mailbox(number).known_from = mailbox.status.uidnext or MAX_UID
    data.mailboxes = mailboxes
    return before


def _apply_change(data: AccountData, change: MailboxChange) -> None:
    index, number = data.index, change.number
    if change.reset:
        index.drop(number)
    columns = index.mailbox(number)
    index.expunge(number, np.isin(columns.uids, change.gone))
    index.set_flags(number, change.flagged.uids, change.flagged.bits, change.flagged.modseqs)
    index.place(number, change.added)
    columns.uidvalidity, columns.uidnext = change.uidvalidity, change.uidnext
    columns.highestmodseq, columns.exists = change.highestmodseq, change.exists
    columns.complete = True


def _mailbox_events(data: AccountData, before: Mapping[str, Mailbox]) -> tuple[MailboxEvent, ...]:
    """What changed of the Mailboxes as they are shown, given the tree as it was.

    By id: a state may be between two of them, and has to mean the same on every node.
    """
    counts_before, counts = data.shown_counts, data.all_counts()
    data.shown_counts = counts
    events = []
    for id_ in sorted(before.keys() | data.mailboxes.keys()):
        old, new = before.get(id_), data.mailboxes.get(id_)
        listed = is_listed_otherwise(old, new)
        if listed or counts_before.get(id_) != counts.get(id_):
            events.append(MailboxEvent(id_, old, new is not None, listed))
    return tuple(events)


def place(data: AccountData, number: int, placed: Placed) -> None:
    """Mail of a mailbox that is not indexed yet comes into the index.

    It was there all along, so it is no change; but of an Email that is known from elsewhere it is
    one, and so is mail that came after the first look at the account.
    """
    if data.is_indexed:  # then whatever comes is found by a check
        return
    columns = data.index.mailbox(number)
    recorder = data.index.recorder = Recorder(data.emails)
    try:
        data.index.place(number, placed)
    finally:
        data.index.recorder = None
    events = recorder.events()
    late = np.isin(events.rows, placed.rows[placed.uids >= columns.known_from])
    _note(data, events, events.was | late)


def forget(data: AccountData, number: int) -> None:
    """What is in the index of a mailbox that is not indexed yet means nothing any more."""
    recorder = data.index.recorder = Recorder(data.emails)
    try:
        data.index.drop(number)
    finally:
        data.index.recorder = None
    events = recorder.events()
    _note(data, events, events.was)


def _note(data: AccountData, events: EmailEvents, which: Mask) -> None:
    """Append an entry about some Emails, of an account that no other node knows yet."""
    data.committed = Committed.of(data.index)
    events = events.only(which)
    if not len(events.rows):
        return
    head = data.journal.head
    entry = Entry(
        sequence=head.sequence + 1,
        digest=chained(head.digest, events.rows.tobytes() + events.now.tobytes()),
        time=int(time.time()),
        emails=events,
        mailboxes=(),
        delivered=bool((events.now & ~events.was).any()),
    )
    data.journal.append(entry)
