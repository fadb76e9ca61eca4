"""RFC 9051 §2.3.1.1: mailboxes that can not be followed, for the sake of those that can.

A mailbox whose UIDVALIDITY changes time and again would be read anew time and again, and one that
the server refuses to open would fail every request. It is left alone for a while, as it was.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.imap.commands.list import Listed
from gateway.obs.log import get_logger

MOST: Final = 5
"""So many changes of UIDVALIDITY, or refusals in a row, are borne."""
WINDOW_SECONDS: Final = 3600.0
"""Changes are of one row when they come within this time."""
HOLD_SECONDS: Final = 600.0

log = get_logger(__name__)


@dataclass(slots=True)
class _Record:
    mailbox_id: str | None = None
    uidvalidity: int = 0
    changes: deque[float] = field(default_factory=lambda: deque(maxlen=MOST))
    refusals: int = 0
    until: float = 0.0


class Quarantine:
    """What happened to the mailboxes of one account, by their wire names."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[bytes, _Record] = {}

    def holds(self, wire: bytes | None) -> bool:
        """Whether a mailbox is to be left alone."""
        record = self._records.get(wire or b"")
        return record is not None and self._clock() < record.until

    def saw(self, wire: bytes, uidvalidity: int, mailbox_id: str | None = None) -> None:
        """The server told the UIDVALIDITY of a mailbox, and perhaps its id (RFC 8474).

        With another id it is another mailbox, which was given the name: that is no trouble.
        """
        record = self._records.setdefault(wire, _Record())
        if mailbox_id is not None and record.mailbox_id != mailbox_id:
            if record.mailbox_id is not None:
                record = self._records[wire] = _Record()
            record.mailbox_id = mailbox_id
        if record.uidvalidity not in (0, uidvalidity) and uidvalidity:
            now = self._clock()
            record.changes.append(now)
            if len(record.changes) == MOST and now - record.changes[0] < WINDOW_SECONDS:
                self._hold(wire, record, "uidvalidity")
        record.uidvalidity = uidvalidity or record.uidvalidity

    def refused(self, wire: bytes) -> None:
        """The server refused to open or to read a mailbox that it lists."""
        record = self._records.setdefault(wire, _Record())
        record.refusals += 1
        if record.refusals >= MOST:
            self._hold(wire, record, "refused")

    def granted(self, wire: bytes) -> None:
        """A mailbox could be read."""
        if wire in self._records:
            self._records[wire].refusals = 0

    def _hold(self, wire: bytes, record: _Record, reason: str) -> None:
        record.until = self._clock() + HOLD_SECONDS
        record.refusals = 0
        record.changes.clear()
        log.warning("mailbox_left_alone", mailbox=wire, reason=reason, seconds=HOLD_SECONDS)

    def steadied(self, listed: Iterable[Listed]) -> list[Listed]:
        """What the server listed, with the UIDVALIDITY of mailboxes left alone as it was."""
        return [self._steadied(entry) for entry in listed]

    def _steadied(self, entry: Listed) -> Listed:
        status = entry.status
        if status is None or not status.uidvalidity:
            return entry
        record = self._records.get(entry.wire)
        is_same = record is None or record.mailbox_id == status.mailbox_id
        if not self.holds(entry.wire) or not is_same:
            self.saw(entry.wire, status.uidvalidity, status.mailbox_id)
            return entry
        known = self._records[entry.wire].uidvalidity
        return replace(entry, status=replace(status, uidvalidity=known))
