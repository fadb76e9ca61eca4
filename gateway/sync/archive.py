"""RFC 8620 §5.2: the change log as octets for the store, and back.

The events of all entries stand in common columns, so that a month of them is little to keep and
quick to read.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack
import numpy as np

from gateway.sync.events import EmailEvents, MailboxEvent
from gateway.sync.journal import Entry, Journal, Mark
from gateway.sync.keywords import widen
from gateway.sync.packing import NotPacked, pack, unpack
from gateway.sync.record import dump_mailbox, load_mailbox

VERSION: Final = 1
_UNREADABLE = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    NotPacked,
    msgpack.exceptions.UnpackException,
)


class NotAnArchive(ValueError):
    """The octets are no change log of this version."""


def capture(journal: Journal) -> tuple[Journal, list[Entry]]:
    """The log at this moment; entries never change."""
    frozen = Journal(journal.epoch, journal.base, dict(journal.floors))
    return frozen, list(journal.entries)


def dump(captured: tuple[Journal, list[Entry]]) -> bytes:
    """The octets of what capture() gave."""
    journal, entries = captured
    emails = [entry.emails for entry in entries]
    words = max((each.bits.shape[1] for each in emails), default=1)
    joined = _concatenated(emails, words)
    document = {
        "version": VERSION,
        "epoch": journal.epoch,
        "base": journal.base,
        "floors": journal.floors,
        "digests": [entry.digest for entry in entries],
        "times": [entry.time for entry in entries],
        "delivered": [entry.delivered for entry in entries],
        "counts": [len(each.rows) for each in emails],
        "rows": pack(joined.rows),
        "visible": pack(joined.was * 2 + joined.now),
        "mailbox": pack(joined.mailbox),
        "bits": [pack(joined.bits[:, word]) for word in range(words)],
        "further": [
            [at, row, list(rest)]
            for at, each in enumerate(emails)
            for row, rest in each.further.items()
        ],
        "mailboxes": [
            [at, event.id, _before(event), event.now, event.is_listed]
            for at, entry in enumerate(entries)
            for event in entry.mailboxes
        ],
    }
    octets: bytes = msgpack.packb(document)
    return octets


def _concatenated(emails: list[EmailEvents], words: int) -> EmailEvents:
    none = np.zeros(0, np.bool_)
    return EmailEvents(
        np.concatenate([np.zeros(0, np.int32), *(each.rows for each in emails)]),
        np.concatenate([none, *(each.was for each in emails)]),
        np.concatenate([none, *(each.now for each in emails)]),
        np.concatenate([np.zeros((0, words), np.uint64), *(widen(e.bits, words) for e in emails)]),
        np.concatenate([np.zeros(0, np.uint16), *(each.mailbox for each in emails)]),
        {},
    )


def _before(event: MailboxEvent) -> list[Any] | None:
    return dump_mailbox(event.before) if event.before is not None else None


def load(octets: bytes) -> Journal:
    """Inverse of dump(capture()). Raises NotAnArchive."""
    try:
        document = msgpack.unpackb(octets)
        if document["version"] != VERSION:
            raise NotAnArchive("version")
        return _load(document)
    except _UNREADABLE as error:
        raise NotAnArchive(str(error)) from error


def _load(document: dict[str, Any]) -> Journal:
    floors = {kind: Mark(*mark) for kind, mark in document["floors"].items()}
    journal = Journal(document["epoch"], Mark(*document["base"]), floors)
    rows = unpack(document["rows"]).astype(np.int32)
    visible = unpack(document["visible"], len(rows))
    mailbox = unpack(document["mailbox"], len(rows)).astype(np.uint16)
    bits = np.stack([unpack(word, len(rows)) for word in document["bits"]], axis=1).view(np.uint64)
    further: dict[int, dict[int, tuple[int, ...]]] = {}
    for at, row, rest in document["further"]:
        further.setdefault(at, {})[row] = tuple(rest)
    mailboxes: dict[int, list[MailboxEvent]] = {}
    for at, id_, before, now, is_listed in document["mailboxes"]:
        held = load_mailbox(before) if before is not None else None
        mailboxes.setdefault(at, []).append(MailboxEvent(id_, held, now, is_listed))
    end = 0
    for at, digest in enumerate(document["digests"]):
        start, end = end, end + document["counts"][at]
        part = slice(start, end)
        seen = visible[part]
        emails = EmailEvents(
            rows[part], seen >= 2, seen % 2 == 1, bits[part], mailbox[part], further.get(at, {})
        )
        sequence = journal.base.sequence + at + 1
        time, delivered = document["times"][at], document["delivered"][at]
        events = tuple(mailboxes.get(at, ()))
        journal.append(Entry(sequence, digest, time, emails, events, delivered))
    return journal
