"""RFC 8620 §1.6, RFC 8621: what is known of one account at one moment, without any I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from gateway.sync.counts import Counter, Counts
from gateway.sync.emails import EmailTable
from gateway.sync.identity import Tier
from gateway.sync.index import AccountIndex
from gateway.sync.mailbox_ids import Known
from gateway.sync.mailboxes import Mailbox
from gateway.sync.orders import Orders
from gateway.sync.placements import MailboxColumns
from gateway.sync.quarantine import Quarantine
from gateway.sync.strings import StringColumn

_MAX_MAILBOXES = 0xFFFF


class AccountData:
    """The index, the strings and the mailboxes of an account.

    `epoch` names this copy of the index: a state string says which copy it is from, so that one
    made after a loss can not be taken for one made before.
    """

    def __init__(self, tier: Tier, epoch: str) -> None:
        self.tier = tier
        self.epoch = epoch
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
        self.mailboxes: dict[str, Mailbox] = {}
        self.numbers: dict[str, int] = {}
        self.wires: dict[str, bytes] = {}  # names of the mailboxes that have a number
        self.quarantine = Quarantine()
        self._counter = Counter(self.index)

    @property
    def emails(self) -> EmailTable:
        """The table of Emails."""
        return self.index.emails

    def set_mailboxes(self, mailboxes: dict[str, Mailbox]) -> None:
        """Take in the tree as of the last LIST; mailboxes that are gone take their mail along."""
        for id_ in [id_ for id_ in self.numbers if id_ not in mailboxes]:
            self.index.drop(self.numbers.pop(id_))
            self.wires.pop(id_, None)
        self.mailboxes = mailboxes
        for id_, mailbox in mailboxes.items():
            if mailbox.status is None or mailbox.wire is None:
                continue
            if id_ not in self.numbers:
                self.numbers[id_] = self._free_number()
            self.wires[id_] = mailbox.wire

    def known_mailboxes(self) -> dict[bytes, Known]:
        """What is known of the mailboxes that were there at the last look, by wire name."""
        known = {}
        for id_, wire in self.wires.items():
            columns, mailbox = self.index.mailbox(self.numbers[id_]), self.mailboxes.get(id_)
            uidvalidity, uidnext = columns.uidvalidity, columns.uidnext
            if mailbox is not None and mailbox.status is not None:
                uidvalidity = mailbox.status.uidvalidity or 0
                uidnext = mailbox.status.uidnext or 0
            known[wire] = Known(id_, uidvalidity, uidnext)
        return known

    def _free_number(self) -> int:
        used = set(self.numbers.values())
        return next(n for n in range(_MAX_MAILBOXES) if n not in used)

    def selectable(self) -> Iterator[tuple[Mailbox, MailboxColumns]]:
        """The mailboxes that hold messages, with their columns, in the server's order."""
        for id_, number in list(self.numbers.items()):
            mailbox = self.mailboxes.get(id_)
            if mailbox is not None:
                yield mailbox, self.index.mailbox(number)

    def columns(self, mailbox_id: str) -> MailboxColumns | None:
        """The columns of a mailbox that can hold messages."""
        number = self.numbers.get(mailbox_id)
        return self.index.mailbox(number) if number is not None else None

    def by_number(self) -> Mapping[int, Mailbox]:
        """Mailboxes by their number in the index."""
        return {n: self.mailboxes[id_] for id_, n in self.numbers.items()}

    @property
    def complete(self) -> bool:
        """True when every message of the account is in the index."""
        return bool(self.mailboxes) and all(columns.complete for _, columns in self.selectable())

    def counts(self, mailbox: Mailbox) -> Counts:
        """Counts of a mailbox: from the index, or the server's until it is indexed."""
        columns = self.columns(mailbox.id)
        if columns is None:
            return Counts(0, 0, 0, 0)
        if not columns.complete:
            status = mailbox.status
            total = (status.messages or 0) if status else 0
            unread = (status.unseen or 0) if status else 0
            return Counts(total, unread, total, unread)
        return self._counter.counts(columns.number, self._trash())

    def _trash(self) -> int | None:
        for id_, mailbox in self.mailboxes.items():
            if mailbox.role == "trash":
                return self.numbers.get(id_)
        return None

    @property
    def nbytes(self) -> int:
        """Octets in memory."""
        strings = sum(column.nbytes for column in self.strings.values())
        return self.index.nbytes + self.orders.nbytes + strings

    def email_state(self) -> str:
        """State of the Email type (RFC 8620 §5.1)."""
        members, flags = self.index.version
        return f"{self.epoch}.{members}.{flags}"

    def thread_state(self) -> str:
        """State of the Thread type: it does not move with keywords (RFC 8621 §3.2)."""
        return f"{self.epoch}.{self.index.members}"

    def mailbox_state(self) -> str:
        """State of the Mailbox type: a digest over all that Mailbox/get can show."""
        state = hashlib.blake2b(digest_size=9)
        for mailbox in self.mailboxes.values():
            counts = self.counts(mailbox)
            shown = (
                mailbox.id,
                mailbox.path,
                mailbox.role,
                mailbox.is_subscribed,
                mailbox.rights,
                counts,
            )
            state.update(repr(shown).encode())
        return state.hexdigest()
