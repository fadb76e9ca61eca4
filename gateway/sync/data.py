"""RFC 8620 §1.6, RFC 8621: what is known of one account at one moment, without any I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gateway.imap.commands.namespace import Namespaces
from gateway.sync.counts import Counter, Counts
from gateway.sync.emails import EmailTable
from gateway.sync.events import EmailEvents
from gateway.sync.identity import Tier
from gateway.sync.index import AccountIndex
from gateway.sync.journal import Journal
from gateway.sync.listed_names import ListedNames
from gateway.sync.mailbox_choice import Choice
from gateway.sync.mailbox_ids import Known
from gateway.sync.mailboxes import Mailbox
from gateway.sync.orders import Orders
from gateway.sync.placements import MailboxColumns
from gateway.sync.quarantine import Quarantine
from gateway.sync.strings import StringColumn

_MAX_MAILBOXES = 0xFFFF


class Committed(NamedTuple):
    """How many rows and keywords are part of the account; what is beyond is being read."""

    rows: int
    keywords: int

    @classmethod
    def of(cls, index: AccountIndex) -> Committed:
        """All that there are."""
        return cls(index.emails.size, len(index.keywords.names))


class AccountData:
    """The index, the strings, the mailboxes and the journal of an account.

    It changes only in `gateway.sync.commit`; what it shows always has the state strings it gives.
    is_indexed: a commit found every message in the index, so that whatever comes is a change.
    numbers: those of the mailboxes in the index; wires: the names of these in IMAP; past: numbers
    of mailboxes that are gone, which the journal may still speak of. shown_counts: what
    Mailbox/get shows. choices: what was chosen for Mailboxes. renamed: mailboxes that were given
    other names, by id: their name in IMAP, if they have one, and their path, until they are listed.
    listed_names: what LIST has to show of names that were changed here.
    numbering: names how the rows of Emails are numbered; see `gateway.sync.compaction`.
    remembered: ids of mailboxes from before the index was made, by wire name.
    """

    def __init__(self, tier: Tier, journal: Journal) -> None:
        self.tier = tier
        self.journal = journal
        self.index = AccountIndex(given_ids=tier.gives_ids)
        self.headers = StringColumn()
        self.structures = StringColumn()
        self.previews = StringColumn()
        self.strings = {
            "header": self.headers,
            "structure": self.structures,
            "preview": self.previews,
        }
        self.orders = Orders()
        self.namespaces: Namespaces | None = None
        self.mailboxes: dict[str, Mailbox] = {}
        self.numbers: dict[str, int] = {}
        self.wires: dict[str, bytes] = {}
        self.past: dict[str, int] = {}
        self.shown_counts: dict[str, Counts] = {}
        self.choices: dict[str, Choice] = {}
        self.renamed: dict[str, tuple[bytes | None, tuple[str, ...]]] = {}
        self.listed_names = ListedNames()
        self.remembered: dict[bytes, Known] = {}
        self.committed = Committed(0, 0)
        self.numbering = ""
        self.is_indexed = False
        self.quarantine = Quarantine()
        self._counter = Counter(self.index)

    @property
    def emails(self) -> EmailTable:
        """The table of Emails."""
        return self.index.emails

    # --- mailboxes -------------------------------------------------------------------------------

    def place_mailbox(self, mailbox: Mailbox, number: int | None) -> None:
        """A mailbox is listed, and has a number in the index if it can hold messages."""
        self.choices[mailbox.id] = mailbox.choice
        self.renamed.pop(mailbox.id, None)
        if number is None or mailbox.wire is None:
            self.let_go(mailbox.id)
            return
        self.numbers[mailbox.id] = number
        self.wires[mailbox.id] = mailbox.wire
        self.past = {id_: n for id_, n in self.past.items() if n != number and id_ != mailbox.id}

    def let_go(self, mailbox_id: str) -> None:
        """A mailbox is gone, and takes its mail along."""
        number = self.numbers.pop(mailbox_id, None)
        self.wires.pop(mailbox_id, None)
        if number is not None:
            self.index.drop(number)
            self.past[mailbox_id] = number

    def new_numbers(self, mailboxes: Mapping[str, Mailbox]) -> dict[str, int]:
        """Numbers for the mailboxes that can hold messages and have none."""
        used = {*self.numbers.values(), *self.past.values()}
        free = (number for number in range(_MAX_MAILBOXES) if number not in used)
        return {
            id_: self.past[id_] if id_ in self.past else next(free)
            for id_, mailbox in mailboxes.items()
            if id_ not in self.numbers and mailbox.status is not None and mailbox.wire is not None
        }

    def refresh(self, mailboxes: dict[str, Mailbox]) -> None:
        """Take in the server's counters and order of the mailboxes, which are those known."""
        if mailboxes.keys() == self.mailboxes.keys():
            self.mailboxes = mailboxes

    def known_mailboxes(self) -> dict[bytes, Known]:
        """What is known of the mailboxes that were there at the last look, by wire name."""
        known = {} if self.mailboxes else dict(self.remembered)
        for id_, wire in self.wires.items():
            columns, mailbox = self.index.mailbox(self.numbers[id_]), self.mailboxes.get(id_)
            uidvalidity, uidnext = columns.uidvalidity, columns.uidnext
            if mailbox is not None and mailbox.status is not None:
                uidvalidity = mailbox.status.uidvalidity or uidvalidity
                uidnext = mailbox.status.uidnext or uidnext
            wire = self.renamed.get(id_, (wire,))[0] or wire
            known[wire] = Known(id_, uidvalidity, uidnext)
        return known

    def known_levels(self) -> dict[tuple[str, ...], str]:
        """Ids of the mailboxes that are only levels of the hierarchy, by path."""
        levels = (mailbox for id_, mailbox in self.mailboxes.items() if id_ not in self.wires)
        return {self.renamed.get(m.id, (None, m.path))[1]: m.id for m in levels}

    def selectable(self) -> Iterator[tuple[Mailbox, MailboxColumns]]:
        """The mailboxes that hold messages, with their columns, in the server's order."""
        for id_, number in list(self.numbers.items()):
            mailbox = self.mailboxes.get(id_)
            if mailbox is not None:
                yield mailbox, self.index.mailbox(number)

    def held(self) -> frozenset[int]:
        """The numbers of the mailboxes that are left alone: what is done there is not seen."""
        wires = self.wires.items()
        return frozenset(self.numbers[id_] for id_, w in wires if self.quarantine.holds(w))

    def columns(self, mailbox_id: str) -> MailboxColumns | None:
        """The columns of a mailbox that can hold messages."""
        number = self.numbers.get(mailbox_id)
        return self.index.mailbox(number) if number is not None else None

    def number(self, mailbox_id: str) -> int | None:
        """The number of a mailbox in the index, also of one that is gone."""
        return self.numbers.get(mailbox_id, self.past.get(mailbox_id))

    def by_number(self) -> Mapping[int, Mailbox]:
        """Mailboxes by their number in the index."""
        return {n: self.mailboxes[id_] for id_, n in self.numbers.items()}

    @property
    def complete(self) -> bool:
        """True when every message of the account is in the index."""
        if self.is_indexed or not self.mailboxes:
            return self.is_indexed
        return all(columns.complete for _, columns in self.selectable())

    # --- commits ---------------------------------------------------------------------------------

    def discard_uncommitted(self) -> None:
        """Forget rows and keywords that were made for a commit that never was."""
        rows, keywords = self.committed
        self.index.keywords.extend(keywords, [])
        if self.emails.size > rows:
            self.emails.truncate(rows)
            self.orders.clear()
            for column in self.strings.values():
                column.truncate(rows)

    def truncate_journal(self, now: int) -> None:
        """Let go of what the journal need not keep, and of mailboxes it says nothing of."""
        if self.journal.truncate(now):
            told = {event.id for entry in self.journal.entries for event in entry.mailboxes}
            self.past = {id_: number for id_, number in self.past.items() if id_ in told}

    # --- counts ----------------------------------------------------------------------------------

    def counts(self, mailbox: Mailbox) -> Counts:
        """Counts of a mailbox, those that belong to the state of the Mailbox type."""
        return self.shown_counts.get(mailbox.id, Counts(0, 0, 0, 0))

    def all_counts(self) -> dict[str, Counts]:
        """Counts of all mailboxes: from the index, or the server's until they are indexed."""
        return {id_: self._counts(mailbox) for id_, mailbox in self.mailboxes.items()}

    def _counts(self, mailbox: Mailbox) -> Counts:
        columns = self.columns(mailbox.id)
        if columns is None:
            return Counts(0, 0, 0, 0)
        if not columns.complete and not self.is_indexed:
            status = mailbox.status
            total = (status.messages or 0) if status else 0
            unread = (status.unseen or 0) if status else 0
            return Counts(total, unread, total, unread)
        return self._counter.counts(columns.number, self.trash)

    @property
    def trash(self) -> int | None:
        """The number of the mailbox with that role."""
        for id_, mailbox in self.mailboxes.items():
            if mailbox.role == "trash":
                return self.numbers.get(id_)
        return None

    def settle_counts(self) -> None:
        """Before a commit: count what is there, so that only changes have to be followed."""
        if self.is_indexed:
            self._counter.settle(self.trash)

    def follow_counts(self, events: EmailEvents, trash: int | None) -> None:
        """After a commit: follow it, unless the Trash is another mailbox now."""
        if self.is_indexed and self.trash == trash:
            self._counter.follow(events, trash)

    # --- states ----------------------------------------------------------------------------------

    def email_state(self) -> str:
        """State of the Email type (RFC 8620 §5.1)."""
        return self.journal.state("Email")

    def thread_state(self) -> str:
        """State of the Thread type: it does not move with keywords (RFC 8621 §3.2)."""
        return self.journal.state("Thread")

    def mailbox_state(self) -> str:
        """State of the Mailbox type."""
        return self.journal.state("Mailbox")

    @property
    def nbytes(self) -> int:
        """Octets in memory."""
        strings = sum(column.nbytes for column in self.strings.values())
        return self.index.nbytes + self.orders.nbytes + self.journal.nbytes + strings
