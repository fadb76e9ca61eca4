"""Design §6: what one commit changes of an account, complete enough to be done again elsewhere.

A record says what is new, the journal keeps what was before. Done on the same account as of the
commit before, a record gives the same index, the same journal entry and so the same states, on
whatever node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgpack
import numpy as np
import numpy.typing as npt

from gateway.imap.commands.status import Status
from gateway.sync.arrays import Bits, Keys, Mask, Seconds, Uids
from gateway.sync.mailbox_choice import Choice
from gateway.sync.mailboxes import Mailbox
from gateway.sync.placements import MailboxColumns, Placed

VERSION: Final = 2
_UNREADABLE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError)


class NotARecord(ValueError):
    """The octets are no record of this version."""


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Rows to be appended to the Email table, which has `base` of them before.

    digests: 12 octets each; given: the server's ids where it has them; headers: their header
    fields, of which there may be none where they are too many.
    """

    base: int
    digests: bytes
    given: list[str] | None
    threads: Keys
    received: Seconds
    octets: Seconds
    headers: list[bytes | None]

    def __len__(self) -> int:
        return len(self.threads)


@dataclass(frozen=True, slots=True)
class MailboxChange:
    """What happened in one mailbox, and the server's figures that the result agrees with.

    reset: nothing is left of what was there before. Else `gone` are UIDs that left, and `flagged`
    have other flags or mod-sequences; `added` are new.
    """

    number: int
    uidvalidity: int
    uidnext: int
    highestmodseq: int | None
    exists: int
    reset: bool
    gone: Uids
    flagged: Placed
    added: Placed


@dataclass(frozen=True, slots=True)
class Record:
    """One commit. `listed`: Mailboxes that are new or have changed, with their numbers if any."""

    time: int
    keyword_base: int
    keywords: list[str]
    newcomers: Newcomers
    removed: list[str]
    listed: list[tuple[Mailbox, int | None]]
    changes: list[MailboxChange]

    def __bool__(self) -> bool:
        return bool(self.removed or self.listed or self.changes)


def difference(old: MailboxColumns, new: MailboxColumns) -> MailboxChange | None:
    """What changed between two states of one mailbox; None if nothing did."""
    reset = old.uidvalidity != new.uidvalidity
    if reset:
        old = MailboxColumns(new.number)
    if np.array_equal(old.uids, new.uids):
        at = np.arange(len(new.uids), dtype=np.int32)
        gone = old.uids[:0]
    else:
        at = old.positions(new.uids)
        gone = old.uids[new.positions(old.uids) < 0]
    common = np.flatnonzero(at >= 0)
    was = Placed(old.uids, old.rows, old.bits, old.modseqs).only(at[common])
    now = Placed(new.uids, new.rows, new.bits, new.modseqs)
    kept = now.only(common)
    flagged = _other_bits(was.bits, kept.bits) | (was.modseqs != kept.modseqs)
    change = MailboxChange(
        number=new.number,
        uidvalidity=new.uidvalidity,
        uidnext=new.uidnext,
        highestmodseq=new.highestmodseq,
        exists=new.exists,
        reset=reset,
        gone=gone,
        flagged=kept.only(flagged),
        added=now.only(at < 0),
    )
    figures = ("uidnext", "highestmodseq", "exists")
    same = all(getattr(old, name) == getattr(new, name) for name in figures)
    touched = len(change.gone) + len(change.flagged.uids) + len(change.added.uids)
    return change if reset or touched or not same else None


def _other_bits(one: Bits, other: Bits) -> Mask:
    words = min(one.shape[1], other.shape[1])
    differ = (one[:, :words] != other[:, :words]).any(axis=1)
    more: Mask = differ | one[:, words:].any(axis=1) | other[:, words:].any(axis=1)
    return more


def is_listed_otherwise(one: Mailbox | None, other: Mailbox | None) -> bool:
    """Whether something else is shown of a Mailbox than before, counts aside."""
    if one is None or other is None:
        return one is not other
    if one.name != other.name or one.sort_order != other.sort_order:
        return True
    return _shown(one) != _shown(other)


# --- as octets -----------------------------------------------------------------------------------


def dump(record: Record) -> bytes:
    """The octets of a record: the same ones for the same record."""
    new = record.newcomers
    document = [
        VERSION,
        record.time,
        record.keyword_base,
        record.keywords,
        [
            new.base,
            new.digests,
            new.given,
            *_octets(new.threads, new.received, new.octets),
            new.headers,
        ],
        record.removed,
        [[*dump_mailbox(mailbox), number] for mailbox, number in record.listed],
        [_change(change) for change in record.changes],
    ]
    octets: bytes = msgpack.packb(document)
    return octets


def _octets(*columns: npt.NDArray[Any]) -> list[bytes]:
    return [column.tobytes() for column in columns]


def dump_mailbox(mailbox: Mailbox) -> list[Any]:
    """A Mailbox without the server's counters."""
    told = [mailbox.id, mailbox.wire, mailbox.delimiter, list(mailbox.path), [*mailbox.choice]]
    return [*told, *_shown(mailbox)]


def _shown(mailbox: Mailbox) -> list[Any]:
    """What else is shown of a Mailbox, counts aside."""
    return [
        mailbox.parent_id,
        mailbox.role,
        mailbox.is_subscribed,
        mailbox.rights,
        mailbox.status is not None,
    ]


def _change(change: MailboxChange) -> list[Any]:
    return [
        change.number,
        change.uidvalidity,
        change.uidnext,
        change.highestmodseq,
        change.exists,
        change.reset,
        change.gone.tobytes(),
        _placed(change.flagged),
        _placed(change.added),
    ]


def _placed(placed: Placed) -> list[Any]:
    words = placed.bits.shape[1]
    return [words, *_octets(placed.uids, placed.rows, placed.bits, placed.modseqs)]


def load(octets: bytes) -> Record:
    """Inverse of dump(). Raises NotARecord."""
    try:
        version, *fields = msgpack.unpackb(octets)
        if version != VERSION:
            raise NotARecord("version")
        time, base, keywords, newcomers, removed, listed, changes = fields
        return Record(
            time=time,
            keyword_base=base,
            keywords=keywords,
            newcomers=_load_newcomers(*newcomers),
            removed=removed,
            listed=[(load_mailbox(fields), number) for *fields, number in listed],
            changes=[_load_change(*change) for change in changes],
        )
    except (*_UNREADABLE, msgpack.exceptions.UnpackException) as error:
        raise NotARecord(str(error)) from error


def _load_newcomers(base: int, digests: bytes, given: list[str] | None, *fields: Any) -> Newcomers:
    threads, received, octets, headers = fields
    return Newcomers(
        base,
        digests,
        given,
        np.frombuffer(threads, np.uint64),
        np.frombuffer(received, np.int64),
        np.frombuffer(octets, np.int64),
        headers,
    )


def load_mailbox(fields: list[Any]) -> Mailbox:
    """Inverse of dump_mailbox()."""
    id_, wire, delimiter, path, choice, parent_id, role, is_subscribed, rights, selectable = fields
    return Mailbox(
        id=id_,
        wire=wire,
        path=tuple(path),
        parent_id=parent_id,
        role=role,
        is_subscribed=is_subscribed,
        rights=rights,
        status=Status() if selectable else None,
        delimiter=delimiter,
        choice=Choice(*choice),
    )


def _load_change(*fields: Any) -> MailboxChange:
    number, uidvalidity, uidnext, highestmodseq, exists, reset, gone, flagged, added = fields
    return MailboxChange(
        number,
        uidvalidity,
        uidnext,
        highestmodseq,
        exists,
        reset,
        np.frombuffer(gone, np.uint32),
        _load_placed(*flagged),
        _load_placed(*added),
    )


def _load_placed(words: int, uids: bytes, rows: bytes, bits: bytes, modseqs: bytes) -> Placed:
    return Placed(
        np.frombuffer(uids, np.uint32),
        np.frombuffer(rows, np.int32),
        np.frombuffer(bits, np.uint64).reshape(-1, words),
        np.frombuffer(modseqs, np.uint64),
    )
