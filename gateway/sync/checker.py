"""Freshness (RFC 8620 §1.6.2): what moved on the server since the last look, and reading it.

One LIST-STATUS shows every mailbox's counters; only mailboxes whose counters differ from what
the index agrees with are selected and synchronised. One that makes trouble does not keep the
others from being looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from gateway.imap.commands.examine import leave
from gateway.imap.commands.list import Listed, list_mailboxes
from gateway.imap.commands.namespace import Namespaces, namespaces
from gateway.imap.commands.rights import my_rights
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused, ConnectionLost, MailboxUnavailable
from gateway.imap.quirks import LATE_MODSEQ, NO_NAMESPACE
from gateway.obs.log import get_logger
from gateway.sync.data import AccountData
from gateway.sync.keywords import SEEN, select
from gateway.sync.mailboxes import Mailbox, tree
from gateway.sync.placements import MailboxColumns
from gateway.sync.synchronise import synchronise

# A server without mod-sequences tells nothing of flags: they are compared this often.
PLAIN_FLAGS_SECONDS = 30.0
# For so long after a change, a server with late mod-sequences is asked again what came before it.
LATE_SECONDS = 10.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Late:
    """What a mailbox is asked again: changes since a mod-sequence, until a time."""

    since: int
    until: float


class Checker:
    """Brings the data of one account up to date; one check at a time."""

    def __init__(self, data: AccountData) -> None:
        self._data = data
        self.seconds = 0.0  # how long the last look at the counters took
        self._listed: tuple[object, ...] = ()
        self._rights: dict[bytes, str] = {}
        self._namespaces: Namespaces | None = None
        self._flags_compared: dict[int, float] = {}
        self._late: dict[int, _Late] = {}

    async def check(self, connection: Connection) -> bool:
        """True when all is up to date; False when a mailbox went away meanwhile.

        Raises ImapError; what was read until then is in the index.
        """
        started = time.monotonic()
        await self._list(connection)
        self.seconds = time.monotonic() - started
        settled = True
        for mailbox, columns in list(self._data.selectable()):
            if self._data.quarantine.holds(mailbox.wire):
                columns.complete = True  # as far as it goes: nothing is to wait for the rest
            elif mailbox.wire is not None and self._moved(mailbox, columns):
                settled &= await self._synchronise(connection, mailbox.wire, columns)
        return settled

    async def _synchronise(
        self, connection: Connection, wire: bytes, columns: MailboxColumns
    ) -> bool:
        number, before = columns.number, columns.highestmodseq
        late = self._late.pop(number, None)
        try:
            since = late.since if late is not None else None
            await synchronise(self._data, connection, wire, number, since)
        except MailboxUnavailable:
            return False
        except CommandRefused as refused:
            log.warning("mailbox_refused", reason=str(refused))
            self._data.quarantine.refused(wire)
            return False
        self._data.quarantine.granted(wire)
        now = self._flags_compared[number] = time.monotonic()
        if LATE_MODSEQ in connection.quirks:
            self._look_again(number, before, late, now)
        return True

    def _look_again(self, number: int, before: int | None, late: _Late | None, now: float) -> None:
        """The changes just told of may not have been all of those before HIGHESTMODSEQ."""
        changed = before != self._data.index.mailbox(number).highestmodseq
        if before is not None and changed:
            since = before if late is None else late.since
            self._late[number] = _Late(since, now + LATE_SECONDS)
        elif late is not None and now < late.until:
            self._late[number] = late

    async def _list(self, connection: Connection) -> None:
        # Dovecot's STATUS of the selected mailbox is of what was selected, as it was then told:
        # a NOOP helps, but not when another mailbox has that name now.
        listed = await list_mailboxes(connection, leave(connection))
        listed = self._data.quarantine.steadied(listed)
        if self._namespaces is None:
            self._namespaces = await _namespaces(connection)
        shape = tuple((entry.wire, entry.attributes) for entry in listed)
        if shape != self._listed:
            self._rights = await my_rights(connection, _selectable(listed))
            self._listed = shape
        known = self._data.known_mailboxes()
        self._data.set_mailboxes(tree(listed, self._namespaces, self._rights, known))

    def _moved(self, mailbox: Mailbox, columns: MailboxColumns) -> bool:
        """Whether the server's counters differ from what the index agrees with."""
        status = mailbox.status
        if status is None or not columns.complete:
            return False
        pairs = (
            (columns.uidvalidity, status.uidvalidity),
            (columns.uidnext, status.uidnext),
            (columns.highestmodseq, status.highestmodseq),
        )
        if any(known and told and known != told for known, told in pairs):
            return True
        if columns.exists != status.messages or columns.number in self._late:
            return True
        if columns.highestmodseq and status.highestmodseq:
            return False
        age = time.monotonic() - self._flags_compared.get(columns.number, float("-inf"))
        return age > PLAIN_FLAGS_SECONDS or not _may_be_unseen(columns, status.unseen)


async def _namespaces(connection: Connection) -> Namespaces:
    """Whose mailboxes are where; Exchange 2003 does not bear to be asked."""
    if NO_NAMESPACE in connection.quirks:
        return Namespaces()
    try:
        return await namespaces(connection)
    except ConnectionLost:
        connection.quirks.add(NO_NAMESPACE)
        raise


def _selectable(listed: list[Listed]) -> list[bytes]:
    return [entry.wire for entry in listed if entry.status is not None]


def _may_be_unseen(columns: MailboxColumns, count: int | None) -> bool:
    """Whether so many messages may be unseen: of those that can not be read it is not known."""
    unseen = len(columns.uids) - int(np.count_nonzero(select(columns.bits, SEEN)))
    return count is None or unseen <= count <= unseen + columns.trouble.hopeless
