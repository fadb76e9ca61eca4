"""Freshness (RFC 8620 §1.6.2): what moved on the server since the last look, and reading it.

One LIST-STATUS shows every mailbox's counters; only mailboxes whose counters differ from what
the index agrees with are selected and synchronised.
"""

from __future__ import annotations

import time

import numpy as np

from gateway.imap.commands.examine import leave
from gateway.imap.commands.list import Listed, list_mailboxes
from gateway.imap.commands.namespace import namespaces
from gateway.imap.commands.rights import my_rights
from gateway.imap.connection import Connection
from gateway.imap.errors import MailboxUnavailable
from gateway.sync.data import AccountData
from gateway.sync.keywords import SEEN, select
from gateway.sync.mailboxes import Mailbox, tree
from gateway.sync.placements import MailboxColumns
from gateway.sync.synchronise import synchronise

# A server without mod-sequences tells nothing of flags: they are compared this often.
PLAIN_FLAGS_SECONDS = 30.0


class Checker:
    """Brings the data of one account up to date; one check at a time."""

    def __init__(self, data: AccountData) -> None:
        self._data = data
        self.seconds = 0.0  # how long the last look at the counters took
        self._listed: tuple[object, ...] = ()
        self._rights: dict[bytes, str] = {}
        self._prefixes: list[str] | None = None
        self._flags_compared: dict[int, float] = {}

    async def check(self, connection: Connection) -> bool:
        """True when all is up to date; False when a mailbox went away meanwhile.

        Raises ImapError; what was read until then is in the index.
        """
        started = time.monotonic()
        await self._list(connection)
        self.seconds = time.monotonic() - started
        settled = True
        for mailbox, columns in list(self._data.selectable()):
            if mailbox.wire is None or not self._moved(mailbox, columns):
                continue
            try:
                await synchronise(self._data, connection, mailbox.wire, columns.number)
            except MailboxUnavailable:
                settled = False
            self._flags_compared[columns.number] = time.monotonic()
        return settled

    async def _list(self, connection: Connection) -> None:
        # Dovecot's STATUS of the selected mailbox is of what was selected, as it was then told:
        # a NOOP helps, but not when another mailbox has that name now.
        before = (leave(connection),) if connection.selected is not None else ()
        listed = await list_mailboxes(connection, before)
        if self._prefixes is None:
            personal = (await namespaces(connection)).personal
            self._prefixes = [n.prefix for n in personal if n.prefix]
        shape = tuple((entry.wire, entry.attributes) for entry in listed)
        if shape != self._listed:
            self._rights = await my_rights(connection, _selectable(listed))
            self._listed = shape
        self._data.set_mailboxes(tree(listed, self._prefixes, self._rights))

    def _moved(self, mailbox: Mailbox, columns: MailboxColumns) -> bool:
        """Whether the server's counters differ from what the index agrees with."""
        status = mailbox.status
        if status is None or not columns.complete:
            return False
        known = (columns.uidvalidity, columns.uidnext, columns.exists)
        if known != (status.uidvalidity, status.uidnext, status.messages):
            return True
        if status.highestmodseq is not None:
            return status.highestmodseq != columns.highestmodseq
        age = time.monotonic() - self._flags_compared.get(columns.number, float("-inf"))
        return age > PLAIN_FLAGS_SECONDS or status.unseen != _unseen(columns)


def _selectable(listed: list[Listed]) -> list[bytes]:
    return [entry.wire for entry in listed if entry.status is not None]


def _unseen(columns: MailboxColumns) -> int:
    return len(columns.uids) - int(np.count_nonzero(select(columns.bits, SEEN)))
