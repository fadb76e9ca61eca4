"""RFC 9051 §6.4.5: messages that a server has and can not give, or not without breaking down.

A FETCH of many that ends in a broken connection is cut in halves the next time, until it is known
which message breaks it. What failed alone so many times is passed over from then on, so that the
other messages of the mailbox can be had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from gateway.sync.arrays import Uids

MAX_TRIES: Final = 3


class Trouble:
    """What went wrong with the messages of one mailbox, as long as it is in memory."""

    def __init__(self) -> None:
        self._tries: dict[int, int] = {}
        self._suspects: list[Uids] = []  # apart from each other
        self.breaks = 0
        """How often a connection broke."""

    @property
    def hopeless(self) -> int:
        """How many messages are passed over."""
        return len(self._hopeless())

    def _hopeless(self) -> list[int]:
        return [uid for uid, tries in self._tries.items() if tries >= MAX_TRIES]

    def readable(self, uids: Uids) -> Uids:
        """Without those that are passed over."""
        return uids[~np.isin(uids, self._hopeless())] if self._tries else uids

    def slices(self, uids: Uids, size: int) -> Iterator[Uids]:
        """At most `size` UIDs at a time, highest first; suspects come last, by themselves."""
        uids = np.sort(self.readable(uids))
        suspect = [np.intersect1d(each, uids) for each in self._suspects]
        for each in suspect:
            uids = np.setdiff1d(uids, each)
        for end in range(len(uids), 0, -size):
            yield uids[max(0, end - size) : end]
        yield from (each for each in suspect if len(each))

    def gave(self, asked: Uids, absent: Uids) -> None:
        """The server answered, and of what was asked some was not in the answer."""
        self._suspects = [each for each in self._suspects if not np.isin(each, asked).all()]
        self._tried(absent)

    def broke(self, asked: Uids) -> None:
        """The connection broke while these were asked for."""
        self.breaks += 1
        self._suspects = [np.setdiff1d(each, asked) for each in self._suspects]
        self._suspects = [each for each in self._suspects if len(each)]
        if len(asked) == 1:
            self._tried(asked)
        middle = len(asked) // 2
        self._suspects += [half for half in (asked[middle:], asked[:middle]) if len(half)]

    def settle(self, present: Uids) -> None:
        """Forget messages that are not in the mailbox any more, given all that are."""
        kept = set(np.intersect1d(np.array([*self._tries], np.uint32), present).tolist())
        self._tries = {uid: tries for uid, tries in self._tries.items() if uid in kept}

    def _tried(self, uids: Sequence[int] | Uids) -> None:
        for uid in map(int, uids):
            self._tries[uid] = self._tries.get(uid, 0) + 1
