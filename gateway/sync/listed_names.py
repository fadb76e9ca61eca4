"""RFC 9051 §6.3.9: LIST shows what was done to names, if not at once.

Dovecot takes its LIST from an index that may be of the past for a moment, in new sessions as well
as in the one in which a name was changed. Taken for the truth, such a list would make a Mailbox go
that was only renamed, and one that was destroyed would still be there. Of two sessions that change
names at the same time, one may even list the past until it ends: what it has not shown in a moment
is asked of a new one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from gateway.imap.commands.list import Listed

_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
_FEW_PAUSES = (0.01, 0.02, 0.05)
# For so long a list may be of the past, or that of another session.
_SECONDS = 3.0


class ListedNames:
    """Wire names that were made and done away with lately, until LIST has shown them for a while.

    What is not shown after all that patience is forgotten: somebody else has changed it since.
    """

    def __init__(self) -> None:
        self._made: dict[bytes, float] = {}
        self._gone: dict[bytes, float] = {}
        self._changed = float("-inf")  # when the latest of them was, by time.monotonic()

    def made(self, wire: bytes) -> None:
        """CREATE was done."""
        self._gone.pop(_folded(wire), None)
        self._changed = time.monotonic()
        self._made[_folded(wire)] = self._changed + _SECONDS

    def gone(self, wire: bytes) -> None:
        """DELETE was done."""
        self._made.pop(_folded(wire), None)
        self._changed = time.monotonic()
        self._gone[_folded(wire)] = self._changed + _SECONDS

    def renamed(self, old: bytes, new: bytes) -> None:
        """RENAME was done, also to all that was below the old name."""
        below = _folded(old)
        self._made = {w: until for w, until in self._made.items() if not w.startswith(below)}
        self.gone(old)
        self.made(new)

    def is_older(self, opened: float) -> bool:
        """Whether a session was opened before the latest of it was done (time.monotonic)."""
        return opened < self._changed

    def pauses(self, opened: float) -> tuple[float, ...]:
        """So much later each LIST is asked for again that may be of the past, in seconds.

        opened: when its session was. Most patience is with a new one that does not show what was
        done: there is none better.
        """
        is_awaited = bool(self._made or self._gone)
        return _PAUSES if is_awaited and not self.is_older(opened) else _FEW_PAUSES

    def forget(self) -> None:
        """Expect nothing any more."""
        self._made.clear()
        self._gone.clear()

    def are_shown(self, listed: Iterable[Listed]) -> bool:
        """Whether a list has all names that were made, and none of those that are gone."""
        now = time.monotonic()
        for names in (self._made, self._gone):
            for wire in [wire for wire, until in names.items() if until < now]:
                del names[wire]
        if not (self._made or self._gone):
            return True
        # What others are below may be left as a level, whatever the server calls that.
        there = {_folded(e.wire) for e in listed if e.selectable and e.status is not None}
        return self._made.keys() <= there and self._gone.keys().isdisjoint(there)


def has_lost(listed: Iterable[Listed], known: Mapping[bytes, bool]) -> bool:
    """Whether a mailbox is listed of which nothing can be told any more.

    known: by wire name, whether the server could tell of it at the last look.
    """
    return any(e.selectable and e.status is None and known.get(e.wire, False) for e in listed)


def _folded(wire: bytes) -> bytes:
    """Servers take the case and the spaces at the ends of some names for what they like."""
    return wire.strip().upper()
