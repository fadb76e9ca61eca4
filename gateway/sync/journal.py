"""RFC 8620 §1.6.2, §5.2: the change log of one account, from which its state strings are made.

Each commit appends one entry: a sequence number, a digest chained over all that was ever committed,
and what the Emails and Mailboxes it touched were before. An entry is a row of events, and a state
is a place in them: `<epoch>.<sequence>.<digest>` is the end of an entry, and with `.<offset>` it is
the place inside that entry after so many events. The epoch names the lineage of the log and the
digest its content up to the end of the entry, so that a state is either of this log or recognised
as another's; nothing is ever worked out from a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final, NamedTuple

from gateway.sync.arrays import Rows
from gateway.sync.events import EmailEvents, MailboxEvent, followed, merged

KEPT_SECONDS: Final = 30 * 24 * 3600
"""RFC 8620 §5.2: how long a state can be used once it was replaced by another."""
MAX_BYTES: Final = 8_000_000
"""Octets of one account's log in memory: half a million changes."""
KINDS: Final = ("Email", "Thread", "Mailbox", "MailboxList", "EmailDelivery")
"""What has a state of its own. MailboxList is that of Mailbox/query, which no count changes."""

_ENTRY_OCTETS = 400
_STATE = re.compile(r"([A-Za-z0-9_-]{1,32})\.(\d{1,15})\.([A-Za-z0-9_-]{1,32})(?:\.(\d{1,15}))?")


class UnknownState(Exception):
    """The state is none of this log, or older than what is kept of it."""


class Position(NamedTuple):
    """After entry `sequence`, and after `offset` events of a kind in the one that follows."""

    sequence: int
    offset: int = 0


class Mark(NamedTuple):
    """An entry that may no longer be kept: its number and its digest."""

    sequence: int
    digest: str


_NOTHING = Mark(0, "0")


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit; `time` is in seconds since 1970. delivered: mail came that was not there."""

    sequence: int
    digest: str
    time: int
    emails: EmailEvents
    mailboxes: tuple[MailboxEvent, ...]
    delivered: bool

    def changes(self, kind: str) -> bool:
        """Whether the state of that kind moved."""
        return _CHANGES[kind](self)

    def count(self, kind: str) -> int:
        """How many events offsets into it are counted in, for that kind."""
        return len(self.mailboxes if kind.startswith("Mailbox") else self.emails.rows)

    @property
    def nbytes(self) -> int:
        """Octets in memory, about."""
        return _ENTRY_OCTETS * (1 + len(self.mailboxes)) + self.emails.nbytes


_CHANGES: Final[dict[str, Callable[[Entry], bool]]] = {
    "Email": lambda entry: len(entry.emails.rows) > 0,
    "Thread": lambda entry: bool((entry.emails.was != entry.emails.now).any()),
    "Mailbox": lambda entry: bool(entry.mailboxes),
    "MailboxList": lambda entry: any(event.is_listed for event in entry.mailboxes),
    "EmailDelivery": lambda entry: entry.delivered,
}


def chained(digest: str, content: bytes) -> str:
    """The digest of a log that ends with `content`, given that of the log before it."""
    octets = blake2b(digest.encode() + content, digest_size=8).digest()
    return f"{int.from_bytes(octets, 'big'):x}"


class Journal:
    """The entries of one account that are kept, oldest first.

    base: the last entry that is not kept any more; floors: for each kind the last one up to there
    that changed it.
    """

    def __init__(
        self,
        epoch: str,
        base: Mark = _NOTHING,
        floors: dict[str, Mark] | None = None,
        entries: Sequence[Entry] = (),
    ) -> None:
        self.epoch = epoch
        self.base = base
        self.floors = floors or dict.fromkeys(KINDS, base)
        self.entries: list[Entry] = []
        self._latest = dict(self.floors)
        self._nbytes = 0
        for entry in entries:
            self.append(entry)

    @property
    def head(self) -> Mark:
        """The latest entry."""
        if not self.entries:
            return self.base
        return Mark(self.entries[-1].sequence, self.entries[-1].digest)

    def append(self, entry: Entry) -> None:
        """Take in what was just committed."""
        self.entries.append(entry)
        self._nbytes += entry.nbytes
        for kind in KINDS:
            if entry.changes(kind):
                self._latest[kind] = Mark(entry.sequence, entry.digest)

    def truncate(self, now: int) -> bool:
        """Let go of entries that were followed long ago, or are too many; True when some went.

        A state stays good until KEPT_SECONDS after the entry that replaced it.
        """
        gone = 0
        while len(self.entries) > gone + 1 and (
            self.entries[gone + 1].time < now - KEPT_SECONDS or self._nbytes > MAX_BYTES
        ):
            entry = self.entries[gone]
            self.base = Mark(entry.sequence, entry.digest)
            self.floors.update((kind, self.base) for kind in KINDS if entry.changes(kind))
            self._nbytes -= entry.nbytes
            gone += 1
        del self.entries[:gone]
        return gone > 0

    def renumbered(self, numbers: Rows) -> Journal:
        """The same log, where rows of Emails have other numbers (by the old ones), in their order.

        That of the events in an entry has to stay: states count them.
        """
        entries = [replace(e, emails=e.emails.renumbered(numbers)) for e in self.entries]
        return Journal(self.epoch, self.base, dict(self.floors), entries)

    # --- states ----------------------------------------------------------------------------------

    def state(self, kind: str) -> str:
        """The state of a kind as of now."""
        return self._format(self._latest[kind])

    def state_at(self, position: Position) -> str:
        """The state at a position that is kept."""
        sequence, offset = position
        if offset:
            # It means nothing in a log that parted from this one before that entry.
            sequence += 1
        if sequence == self.base.sequence:
            return self._format(self.base)
        return self._format(Mark(sequence, self._entry(sequence).digest), offset)

    def _format(self, mark: Mark, offset: int = 0) -> str:
        state = f"{self.epoch}.{mark.sequence}.{mark.digest}"
        return f"{state}.{offset}" if offset else state

    def is_of(self, state: str) -> bool:
        """Whether a state is, or claims to be, one of this log."""
        return state.startswith(f"{self.epoch}.")

    def position(self, kind: str, state: str) -> Position:
        """Where in this log a state of that kind is. Raises UnknownState."""
        match = _STATE.fullmatch(state)
        if match is None or match[1] != self.epoch:
            raise UnknownState(state)
        mark, offset = Mark(int(match[2]), match[3]), int(match[4] or 0)
        if mark == self.floors[kind] and mark.sequence < self.base.sequence and not offset:
            # No entry since then up to the base has changed this kind.
            return Position(self.base.sequence)
        if not self.has(self.epoch, mark):
            raise UnknownState(state)
        if not offset:
            return Position(mark.sequence)
        if mark == self.base or offset >= self._entry(mark.sequence).count(kind):
            raise UnknownState(state)
        return Position(mark.sequence - 1, offset)

    def _entry(self, sequence: int) -> Entry:
        return self.entries[sequence - self.base.sequence - 1]

    def has(self, epoch: str, mark: Mark) -> bool:
        """Whether a commit is one of this log, as far back as it is kept."""
        at = mark.sequence - self.base.sequence
        if epoch != self.epoch or not 0 <= at <= len(self.entries):
            return False
        return mark.digest == (self._entry(mark.sequence).digest if at else self.base.digest)

    # --- what happened ---------------------------------------------------------------------------

    def since(self, position: Position) -> Iterator[tuple[Entry, int]]:
        """The entries after a position, and how many events of each are before it."""
        first = position.sequence - self.base.sequence
        for at in range(first, len(self.entries)):
            yield self.entries[at], position.offset if at == first else 0

    def emails_since(self, position: Position) -> EmailEvents:
        """Each Email touched since a position once: as it was there, and whether it is now."""
        return merged(
            [entry.emails.part(slice(skip, None)) for entry, skip in self.since(position)]
        )

    def mailboxes_since(self, position: Position) -> dict[str, MailboxEvent]:
        """Each Mailbox touched since a position: as it was there, and whether it is now."""
        return followed(
            event for entry, skip in self.since(position) for event in entry.mailboxes[skip:]
        )

    @property
    def nbytes(self) -> int:
        """Octets in memory, about."""
        return self._nbytes
