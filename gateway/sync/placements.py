"""RFC 9051 §2.3.1: the messages of one mailbox, by UID, in columns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gateway.sync.arrays import Bits, Keys, Mask, Rows, Uids
from gateway.sync.keywords import DELETED, select, widen
from gateway.sync.trouble import Trouble

NEVER_SEEN: Final = -1
"""The UIDVALIDITY of a mailbox before the first look at it."""
_ARRAYS = ("uids", "rows", "bits", "modseqs")


def _uids() -> Uids:
    return np.zeros(0, np.uint32)


@dataclass(frozen=True, slots=True)
class Placed:
    """Messages of a mailbox, a row each: their row in the Email table, flags and mod-sequence."""

    uids: Uids
    rows: Rows
    bits: Bits
    modseqs: Keys

    @classmethod
    def none(cls) -> Placed:
        """No messages."""
        rows, bits = np.zeros(0, np.int32), np.zeros((0, 1), np.uint64)
        return cls(_uids(), rows, bits, np.zeros(0, np.uint64))

    def and_those(self, others: Placed) -> Placed:
        """These and the others, as wide as the wider of both."""
        words = max(self.bits.shape[1], others.bits.shape[1])
        return Placed(
            np.concatenate([self.uids, others.uids]),
            np.concatenate([self.rows, others.rows]),
            np.concatenate([widen(self.bits, words), widen(others.bits, words)]),
            np.concatenate([self.modseqs, others.modseqs]),
        )

    def only(self, which: npt.NDArray[Any]) -> Placed:
        """Those for which `which` is true, or those at these positions."""
        return Placed(self.uids[which], self.rows[which], self.bits[which], self.modseqs[which])


@dataclass(slots=True)
class MailboxColumns:
    """The placements of one mailbox, ascending by UID, and how far they are known.

    uidvalidity (NEVER_SEEN before the first look), uidnext, highestmodseq, exists: the server's
    figures that the columns agree with.
    known_from: with this UID and higher ones, messages came after the account was first looked at.
    complete: every message of the mailbox has a row here, but for those the server can not give.
    trouble, structure_trouble: those, and what can not be given of their structure.
    """

    number: int
    uidvalidity: int = NEVER_SEEN
    uidnext: int = 0
    highestmodseq: int | None = None
    exists: int = 0
    known_from: int = 1
    complete: bool = False
    uids: Uids = field(default_factory=_uids)
    rows: Rows = field(default_factory=lambda: np.zeros(0, np.int32))
    bits: Bits = field(default_factory=lambda: np.zeros((0, 1), np.uint64))
    modseqs: Keys = field(default_factory=lambda: np.zeros(0, np.uint64))
    trouble: Trouble = field(default_factory=Trouble)
    structure_trouble: Trouble = field(default_factory=Trouble)

    def draft(self) -> MailboxColumns:
        """A copy to be changed while this one stays as it is; the trouble is that of both.

        Arrays are shared: what changes a draft replaces them.
        """
        return replace(self)

    def begin_anew(self, uidvalidity: int) -> None:
        """Forget all messages: the mailbox is another one, or its UIDs are."""
        fresh = MailboxColumns(self.number, uidvalidity)
        for name in ("uidvalidity", "uidnext", "highestmodseq", "exists", *_ARRAYS):
            setattr(self, name, getattr(fresh, name))
        self.trouble, self.structure_trouble = fresh.trouble, fresh.structure_trouble

    def merge(self, placed: Placed) -> None:
        """Add messages that are not here yet, in any order."""
        if not len(placed.uids):
            return
        self.bits = widen(self.bits, placed.bits.shape[1])
        bits = widen(placed.bits, self.bits.shape[1])
        order = np.argsort(placed.uids, kind="stable")
        columns = (placed.uids, placed.rows, bits, placed.modseqs)
        fresh: list[Any] = [column[order] for column in columns]
        held: list[Any] = [self.uids, self.rows, self.bits, self.modseqs]
        joined: list[Any]
        # Newest-first slices and new mail join at one end, where a plain copy will do.
        if not len(self.uids) or fresh[0][0] > self.uids[-1]:
            joined = [np.concatenate(pair) for pair in zip(held, fresh, strict=True)]
        elif fresh[0][-1] < self.uids[0]:
            joined = [np.concatenate(pair) for pair in zip(fresh, held, strict=True)]
        else:
            at = np.searchsorted(self.uids, fresh[0])
            joined = [np.insert(h, at, f, axis=0) for h, f in zip(held, fresh, strict=True)]
        self.uids, self.rows, self.bits, self.modseqs = joined

    def add(self, placed: Placed) -> None:
        """merge() of those that are not here yet."""
        self.merge(placed.only(self.positions(placed.uids) < 0))

    def set_flags(self, uids: Uids, bits: Bits, modseqs: Keys) -> None:
        """Set flags and mod-sequences of messages that are here; others are passed over."""
        at = self.positions(uids)
        known = np.flatnonzero(at >= 0)
        words = max(self.bits.shape[1], bits.shape[1])
        self.bits, self.modseqs = widen(self.bits, words).copy(), self.modseqs.copy()
        self.bits[at[known]] = widen(bits[known], words)
        self.modseqs[at[known]] = modseqs[known]

    def positions(self, uids: Uids) -> Rows:
        """Position of each UID, -1 where it is not here."""
        if not len(self.uids):
            return np.full(len(uids), -1, np.int32)
        at = np.searchsorted(self.uids, uids)
        at[at == len(self.uids)] = 0
        return np.where(self.uids[at] == uids, at, -1).astype(np.int32)

    def remove(self, gone: Mask) -> None:
        """Drop the positions where gone is true."""
        keep = ~gone
        self.uids, self.rows = self.uids[keep], self.rows[keep]
        self.bits, self.modseqs = self.bits[keep], self.modseqs[keep]

    def shown(self) -> Mask:
        r"""Which positions JMAP sees: those without \Deleted (RFC 8621 §4.1.1)."""
        return ~select(self.bits, DELETED)

    @property
    def nbytes(self) -> int:
        """Octets of the columns."""
        return int(self.uids.nbytes + self.rows.nbytes + self.bits.nbytes + self.modseqs.nbytes)
