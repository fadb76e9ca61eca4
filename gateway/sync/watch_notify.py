"""RFC 5465: one connection on which the server tells of changes in all mailboxes of a user.

No mailbox is ever selected on it: of a selected one Dovecot tells nothing, and of others late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from gateway.imap.commands.examine import leave
from gateway.imap.commands.list import List
from gateway.imap.commands.noop import Noop
from gateway.imap.commands.notify import OVERFLOW, Notify, has_overflowed, tells_of_change
from gateway.imap.commands.status import StatusOf, mailbox_octets
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused, ConnectionLost, ServerBusy
from gateway.imap.wire import modutf7
from gateway.imap.wire.responses import Untagged
from gateway.sync.extent import OWN, Extent
from gateway.sync.waiting import first_of

# A link may be dead and not say so, and as long as it is trusted nobody else looks. So the server,
# which logs out who is silent for 30 minutes (RFC 9051 §5.4), is asked this often.
LIFE_SECONDS = 60.0
_ANSWER_SECONDS = 10.0


class Told(Protocol):
    """An account that is to be told of changes.

    extent: which mailboxes it has; those of the user's own need not be named. told_of: those named
    for it, as long as all changes in them will be told, else None.
    """

    extent: Extent
    told_of: frozenset[bytes] | None

    def wires(self) -> Iterable[bytes]:
        """The wire names of its mailboxes."""
        ...

    def on_change(self) -> None:
        """Something has changed, or may have."""


def can_notify(connection: Connection) -> bool:
    """Whether the server would tell of all changes: of flags it does so by mod-sequences only."""
    has_modseqs = bool(connection.enabled & {"CONDSTORE", "QRESYNC"})
    return "NOTIFY" in connection.capabilities and has_modseqs


class NotifyWatch:
    """Hears of changes over one connection that nobody else uses meanwhile."""

    def __init__(self, connection: Connection, accounts: Callable[[], Sequence[Told]]) -> None:
        """Take a connection for which `can_notify` holds; `accounts` are those to be told."""
        self._connection = connection
        self._accounts = accounts
        self._overflow = asyncio.Event()
        self._named: dict[bytes, Told] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, as when other mailboxes are to be told of; then it is closed.

        It stays open when the server refuses (CommandRefused). Raises what else ends it:
        ConnectionLost, CommandTimeout, ProtocolError, ServerBusy when there was too much to tell.
        """
        connection = self._connection
        for command in leave(connection):
            await connection.run(command)
        self._named = self._choose()
        await self._introduce(dict.fromkeys(account.extent for account in self._named.values()))
        others_news, connection.on_unsolicited = connection.on_unsolicited, self._hear
        try:
            await connection.run(Notify(sorted(self._named)))
        except CommandRefused:
            connection.on_unsolicited = others_news
            raise
        own = [account for account in self._accounts() if account.extent == OWN]
        accounts = [*own, *self._named.values()]
        try:
            for account in accounts:
                named = frozenset(wire for wire, each in self._named.items() if each is account)
                account.told_of = None if any(map(_is_passed_over, named)) else named
            self._changed()  # what came before it
            while not stop.is_set():
                await self._hear_on(stop)
        finally:
            for account in accounts:
                account.told_of = None
            await connection.close()

    def _choose(self) -> dict[bytes, Told]:
        """The mailboxes to be named, and whose they are.

        Those that are not the user's own have to be named one by one: of a subtree Dovecot tells
        nothing. What is too long for a command is left out, account by account.
        """
        named: dict[bytes, Told] = {}
        room = self._connection.max_set
        for account in self._accounts():
            wires = [] if account.extent == OWN else [*account.wires()]
            octets = sum(len(wire) + len(' ""') for wire in wires)
            if octets <= room:
                room -= octets
                named |= dict.fromkeys(wires, account)
        return named

    async def _introduce(self, extents: Iterable[Extent]) -> None:
        """Let the session know of other users.

        Dovecot tells nothing of users whom it did not list in the session, and lists only those who
        shared something as it began, and those of whom something was asked.
        """
        extents = [extent for extent in extents if extent.root]
        roots = [modutf7.encode(extent.root) for extent in extents]
        await self._connection.run_all(*(StatusOf(root, ("MESSAGES",)) for root in roots))
        patterns = [pattern for extent in extents for pattern in extent.patterns]
        await self._connection.run_all(*(List(patterns=(pattern,)) for pattern in patterns))

    def _hear(self, response: Untagged) -> None:
        if has_overflowed(response):
            self._overflow.set()
        elif response.name == "STATUS" and response.values:
            name = response.values[0]
            self._changed(None if isinstance(name, list) else mailbox_octets(name))
        elif tells_of_change(response):
            self._changed()

    def _changed(self, wire: bytes | None = None) -> None:
        """Something has changed in one mailbox, or somewhere."""
        if wire in self._named:
            self._named[wire].on_change()
            return
        for account in self._accounts():
            if wire is None or account.extent == OWN:
                account.on_change()

    async def _hear_on(self, stop: asyncio.Event) -> None:
        """Listen for a while, and see whether the server is still there."""
        ended = self._connection.ended
        if not await first_of(stop, ended, self._overflow, seconds=LIFE_SECONDS):
            await self._connection.run(Noop(), timeout=_ANSWER_SECONDS)
        elif ended.is_set():
            raise ConnectionLost("the server ended the connection")
        elif self._overflow.is_set():
            self._changed()
            raise ServerBusy(OVERFLOW, "too much to tell")


def _is_passed_over(wire: bytes) -> bool:
    """Whether Dovecot passes over a mailbox: another user's inbox that is called INBOX.

    It is so where mail_shared_explicit_inbox is set; else the inbox has the name of the user.
    """
    return wire[-6:].upper() in (b"/INBOX", b".INBOX")
