"""RFC 9051 §9 sequence-set: sets of UIDs cut into smaller ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gateway.imap.wire.encode import SequenceSet, pack_uids
from gateway.imap.wire.sequences import Range, parse_ranges

MOST = 10_000
"""UIDs in a set that is cut in halves: a larger one is a range over a mailbox, mostly of gaps."""


def halves(uids: SequenceSet, received: Collection[int]) -> list[SequenceSet] | None:
    """The rest of a set in two halves; in one piece when some of it came. None: nothing to cut.

    Newer messages, with the higher UIDs, come first.
    """
    ranges = parse_ranges(uids)
    if sum(last - first + 1 for first, last in ranges) > MOST:
        return None
    every = [uid for first, last in ranges for uid in range(first, last + 1)]
    known = frozenset(received)
    left = [uid for uid in every if uid not in known]
    if len(left) < len(every):
        return _packed(left)
    if len(left) < 2:
        return None
    middle = len(left) // 2
    return [*_packed(left[middle:]), *_packed(left[:middle])]


def below(uids: SequenceSet, uid: int) -> list[SequenceSet]:
    """The part of a set below a UID, in no or one piece."""
    kept = [(first, min(last, uid - 1)) for first, last in parse_ranges(uids) if first < uid]
    return [_joined(kept)] if kept else []


def _packed(uids: list[int]) -> list[SequenceSet]:
    return pack_uids(uids, limit=1 << 30)


def _joined(ranges: Iterable[Range]) -> SequenceSet:
    return b",".join(b"%d" % f if f == last else b"%d:%d" % (f, last) for f, last in ranges)
