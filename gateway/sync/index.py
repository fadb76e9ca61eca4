r"""RFC 8621 §§2-4: the index of one account, and the only code that changes it.

Three kinds of change exist, and each keeps the tables agreeing with one another: messages
appear in a mailbox, their flags change, they leave it. The mailbox columns hold every message
the server has; the Email table sees only those without \\Deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gateway.sync.arrays import Bits, Keys, Mask, Rows, Seconds, Uids
from gateway.sync.emails import NOWHERE, EmailTable
from gateway.sync.keywords import DELETED, SEEN, KeywordTable, select, widen
from gateway.sync.placements import MailboxColumns, Placed


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Messages to add, a row each; `digests` are identities (sync.ids), `bits` their flags."""

    uids: Uids
    digests: list[bytes]
    given: list[str] | None
    bits: Bits
    modseqs: Keys
    received: Seconds
    octets: Seconds


class Recorder(Protocol):
    """Is told of Emails before they change."""

    def note(self, rows: Rows) -> None:
        """Rows of the Email table whose placements or keywords are about to change."""
        ...


class AccountIndex:
    """Emails, placements and keywords of one account, and counters of their changes.

    members moves when an Email is made, destroyed or changes its Thread; flags when keywords
    or mailboxes of an Email change. Both together are the state of the Email type.
    recorder: is told what is about to change, when there is one.
    server_threads: whether Threads are the server's (RFC 8474 §5.2), decided by the first messages
    and None before, so that no Thread is half of one kind when a server begins to have them.
    """

    def __init__(self, *, given_ids: bool = False) -> None:
        self.emails = EmailTable(given_ids=given_ids)
        self.keywords = KeywordTable()
        self.mailboxes: dict[int, MailboxColumns] = {}
        self.recorder: Recorder | None = None
        self.server_threads: bool | None = None
        self.members = 0
        self.flags = 0

    @property
    def version(self) -> tuple[int, int]:
        """Changes exactly when some Email changed."""
        return self.members, self.flags

    def mailbox(self, number: int) -> MailboxColumns:
        """The columns of a mailbox, empty ones when it is new."""
        found = self.mailboxes.get(number)
        if found is None:
            found = self.mailboxes[number] = MailboxColumns(number)
        return found

    def rows_of(self, arrivals: Arrivals) -> tuple[Rows, Rows]:
        """Rows of messages, made where they are new; an Email it becomes when it is placed.

        Returns the rows of all, and the positions in them that made new rows, which are
        consecutive: the caller fills their thread and strings before anything else looks.
        """
        rows, made = self.emails.add(arrivals.digests, arrivals.given)
        if len(made):
            start, end = self.emails.size - len(made), self.emails.size
            self.emails.received[start:end] = arrivals.received[made]
            self.emails.octets[start:end] = arrivals.octets[made]
        return rows, made

    def place(self, number: int, placed: Placed) -> None:
        """Messages appear in a mailbox; UIDs already here are left as they are."""
        columns = self.mailbox(number)
        fresh = placed.only(columns.positions(placed.uids) < 0)
        columns.merge(fresh)
        shown = fresh.only(~select(fresh.bits, DELETED))
        self._attach(number, shown.rows, shown.uids, shown.bits)

    def attach(self, columns: MailboxColumns, which: Mask) -> None:
        """Messages that stand in the columns of a mailbox become placements of their Emails."""
        self._attach(columns.number, columns.rows[which], columns.uids[which], columns.bits[which])

    def _attach(self, number: int, rows: Rows, uids: Uids, bits: Bits) -> None:
        if not len(rows):
            return
        self._note(rows)
        table = self.emails
        table.widen(bits.shape[1])
        homeless = np.flatnonzero(table.home_mailbox[rows] == NOWHERE)
        _, first = np.unique(rows[homeless], return_index=True)
        single = homeless[first]
        table.home_mailbox[rows[single]] = number
        table.home_uid[rows[single]] = uids[single]
        table.bits[rows[single]] = widen(bits, table.bits.shape[1])[single]
        others = np.ones(len(rows), np.bool_)
        others[single] = False
        for row, uid in zip(rows[others].tolist(), uids[others].tolist(), strict=True):
            table.copies.setdefault(row, []).append((number, uid))
            self._recombine(row)
        self.members += bool(len(single))
        self.flags += bool(others.any())

    def set_flags(self, number: int, uids: Uids, bits: Bits, modseqs: Keys) -> None:
        """The server reports flags of messages that are here; others are passed over."""
        columns = self.mailbox(number)
        at = columns.positions(uids)
        at = at[at >= 0]
        before = columns.bits
        columns.set_flags(uids, bits, modseqs)
        bits = columns.bits[at]
        before = widen(before[at], bits.shape[1])
        changed = np.flatnonzero((before != bits).any(axis=1))
        at, bits = at[changed], bits[changed]
        was, now = ~select(before[changed], DELETED), ~select(bits, DELETED)
        self._detach(number, columns.rows[at], columns.uids[at], was & ~now)
        stays = was & now
        self._reflag(columns.rows[at[stays]], bits[stays])
        appears = now & ~was
        self._attach(number, columns.rows[at[appears]], columns.uids[at[appears]], bits[appears])

    def _note(self, rows: Rows) -> None:
        if self.recorder is not None:
            self.recorder.note(rows)

    def _reflag(self, rows: Rows, bits: Bits) -> None:
        if not len(rows):
            return
        self._note(rows)
        table = self.emails
        table.widen(bits.shape[1])
        table.bits[rows] = widen(bits, table.bits.shape[1])
        if table.copies:
            for row in rows.tolist():
                if row in table.copies:
                    self._recombine(row)
        self.flags += 1

    def expunge(self, number: int, gone: Mask) -> None:
        """Messages leave a mailbox: the positions where gone is true."""
        columns = self.mailbox(number)
        if not gone.any():
            return
        self._detach(number, columns.rows, columns.uids, gone & columns.shown())
        columns.remove(gone)

    def drop(self, number: int) -> None:
        """A mailbox is gone, or its UIDs mean nothing any more."""
        columns = self.mailboxes.get(number)
        if columns is not None:
            self._detach(number, columns.rows, columns.uids, columns.shown())
            del self.mailboxes[number]

    def _detach(self, number: int, rows: Rows, uids: Uids, which: Mask) -> None:
        rows, uids = rows[which], uids[which]
        if not len(rows):
            return
        self._note(rows)
        table = self.emails
        if table.copies:
            for row, uid in zip(rows.tolist(), uids.tolist(), strict=True):
                if row in table.copies:
                    self._leave_copy(row, (number, uid))
        at_home = (table.home_mailbox[rows] == number) & (table.home_uid[rows] == uids)
        table.home_mailbox[rows[at_home]] = NOWHERE
        self.members += bool(at_home.any())
        self.flags += 1

    def _leave_copy(self, row: int, placement: tuple[int, int]) -> None:
        """Take one of several placements from an Email; another becomes its home."""
        table = self.emails
        rest = [p for p in table.placements(row) if p != placement]
        table.home_mailbox[row], table.home_uid[row] = rest[0]
        if len(rest) > 1:
            table.copies[row] = rest[1:]
        else:
            del table.copies[row]
        self._recombine(row)

    def _recombine(self, row: int) -> None:
        """Keywords of an Email with several placements: any copy's, but $seen only if all."""
        union, seen = 0, SEEN
        for number, uid in self.emails.placements(row):
            columns = self.mailboxes[number]
            at = int(columns.positions(np.array([uid], np.uint32))[0])
            bits = self.keywords.unpack(columns.bits[at])
            union |= bits
            seen &= bits
        packed = self.keywords.pack([union & ~SEEN | seen])
        self.emails.widen(packed.shape[1])
        self.emails.bits[row] = widen(packed, self.emails.bits.shape[1])[0]

    @property
    def nbytes(self) -> int:
        """Octets held by the tables."""
        return self.emails.nbytes + sum(m.nbytes for m in self.mailboxes.values())
