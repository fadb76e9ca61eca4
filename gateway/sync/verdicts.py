"""RFC 8621 §4.4.1: which Emails were searched for what, and found; content never changes."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from gateway.imap.wire.criteria import Criteria
from gateway.sync.arrays import Mask, Rows

MAX_OCTETS = 4 << 20
"""What is remembered for one account: some 150 searches of 100,000 Emails."""
YOUNG_SECONDS = 300.0
DOUBT_SECONDS = 30.0
"""Servers with an index of words may take a while to have new mail in it: what was not found in
mail younger than the one is looked for again after the other."""
_OBJECTS_OCTETS = 1024  # what Python takes for an entry and its key, about

Packed = npt.NDArray[np.uint8]
_NO_ROWS: Rows = np.zeros(0, np.int32)


class Verdicts:
    """For one search: the rows that were looked at, and those of them that match, a bit each.

    Rows stand for the same Emails for as long as the index is in memory, whatever mailboxes these
    are in and whatever UIDs they have there. `lock` is held by whoever looks at more of them.
    `refusal` is what the server said that does not search for it.
    """

    def __init__(self) -> None:
        self._known: Packed = np.zeros(0, np.uint8)
        self._matching: Packed = np.zeros(0, np.uint8)
        self._doubtful: deque[tuple[float, Rows]] = deque()  # until when what counts as known
        self.lock = asyncio.Lock()
        self.refusal: str | None = None

    def known(self, size: int) -> Mask:
        """Which rows were looked at, shape (size,)."""
        while self._doubtful and self._doubtful[0][0] <= time.monotonic():
            self._known = _changed(self._known, self._doubtful.popleft()[1], known=False)
        return _unpacked(self._known, size)

    def matching(self, size: int) -> Mask:
        """Which rows are known to match, shape (size,)."""
        return _unpacked(self._matching, size)

    def add(self, rows: Rows, matching: Rows, young: Rows = _NO_ROWS) -> None:
        """Take in that `rows` were looked at, and that `matching` of them match.

        `young` are those of new mail.
        """
        self._known = _changed(self._known, rows, known=True)
        self._matching = _changed(self._matching, matching, known=True)
        doubtful = np.setdiff1d(young, matching) if len(young) else young
        if len(doubtful):
            self._doubtful.append((time.monotonic() + DOUBT_SECONDS, doubtful))

    @property
    def nbytes(self) -> int:
        """Octets held."""
        return int(self._known.nbytes + self._matching.nbytes)


def _unpacked(bits: Packed, size: int) -> Mask:
    mask = np.zeros(size, np.bool_)
    known = np.unpackbits(bits, count=min(size, 8 * len(bits)))
    mask[: len(known)] = known
    return mask


def _changed(bits: Packed, rows: Rows, *, known: bool) -> Packed:
    if not len(rows):
        return bits
    mask = _unpacked(bits, max(8 * len(bits), int(rows.max()) + 1))
    mask[rows] = known
    return np.packbits(mask)


class Remembered:
    """The verdicts of the searches that were used last, up to `most` octets."""

    def __init__(self, most: int = MAX_OCTETS) -> None:
        self._most = most
        self._entries: OrderedDict[Criteria, Verdicts] = OrderedDict()

    @contextmanager
    def verdicts(self, criteria: Criteria) -> Iterator[Verdicts]:
        """The verdicts of a search, empty ones when it is new; they are kept while in use."""
        found = self._entries.setdefault(criteria, Verdicts())
        self._entries.move_to_end(criteria)
        try:
            yield found
        finally:
            self._forget()

    def _forget(self) -> None:
        excess = self.nbytes - self._most
        for criteria, found in list(self._entries.items()):
            if excess <= 0:
                return
            if not found.lock.locked():
                excess -= _octets(criteria, found)
                del self._entries[criteria]

    @property
    def nbytes(self) -> int:
        """Octets held, about."""
        return sum(_octets(criteria, found) for criteria, found in self._entries.items())


def _octets(criteria: Criteria, found: Verdicts) -> int:
    return found.nbytes + criteria.octets + _OBJECTS_OCTETS
