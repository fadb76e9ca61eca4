"""RFC 5465: one connection on which the server tells of changes in all mailboxes of an account.

No mailbox is ever selected on it: of a selected one Dovecot tells nothing, and of others late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from gateway.imap.commands.examine import leave
from gateway.imap.commands.namespace import Namespaces, namespaces
from gateway.imap.commands.noop import Noop
from gateway.imap.commands.notify import OVERFLOW, Notify, has_overflowed, tells_of_change
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused, ConnectionLost, ServerBusy
from gateway.imap.wire import modutf7
from gateway.imap.wire.responses import Untagged
from gateway.sync.waiting import first_of

# A link may be dead and not say so, and as long as it is trusted nobody else looks. So the server,
# which logs out who is silent for 30 minutes (RFC 9051 §5.4), is asked this often.
LIFE_SECONDS = 60.0
_ANSWER_SECONDS = 10.0


def can_notify(connection: Connection) -> bool:
    """Whether the server would tell of all changes: of flags it does so by mod-sequences only."""
    has_modseqs = bool(connection.enabled & {"CONDSTORE", "QRESYNC"})
    return "NOTIFY" in connection.capabilities and has_modseqs


class NotifyWatch:
    """Hears of changes over one connection that nobody else uses meanwhile."""

    def __init__(
        self,
        connection: Connection,
        listed: Callable[[], Iterable[bytes]],
        on_change: Callable[[], None],
        on_trust: Callable[[bool], None],
    ) -> None:
        """Take a connection for which `can_notify` holds.

        listed: the wire names of the mailboxes there are. on_trust: called with True when all
        changes from now on will be told, and with False when that has ended.
        """
        self._connection = connection
        self._listed = listed
        self._on_change = on_change
        self._on_trust = on_trust
        self._overflow = asyncio.Event()
        self._places = Namespaces()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, or other mailboxes are to be told of; the connection is closed then.

        It stays open when the server refuses (CommandRefused). Raises what else ends it:
        ConnectionLost, CommandTimeout, ProtocolError, ServerBusy when there was too much to tell.
        """
        connection = self._connection
        for command in leave(connection):
            await connection.run(command)
        self._places = await namespaces(connection)
        named, is_all = self._named()
        others_news, connection.on_unsolicited = connection.on_unsolicited, self._hear
        try:
            await connection.run(Notify(named))
        except CommandRefused:
            connection.on_unsolicited = others_news
            raise
        try:
            self._on_trust(is_all)
            self._on_change()  # what came before it
            while not stop.is_set() and self._named() == (named, is_all):
                await self._hear_on(stop)
        finally:
            self._on_trust(False)
            await connection.close()

    def _hear(self, response: Untagged) -> None:
        if has_overflowed(response):
            self._overflow.set()
        elif tells_of_change(response):
            self._on_change()

    def _named(self) -> tuple[list[bytes], bool]:
        """The mailboxes that are not the user's own, and whether that is all of them.

        They have to be named one by one: of a subtree Dovecot tells nothing.
        """
        named = outside(self._listed(), self._places)
        fits = sum(len(wire) + len(' ""') for wire in named) <= self._connection.max_set
        return named if fits else [], fits

    async def _hear_on(self, stop: asyncio.Event) -> None:
        """Listen for a while, and see whether the server is still there."""
        ended = self._connection.ended
        if not await first_of(stop, ended, self._overflow, seconds=LIFE_SECONDS):
            await self._connection.run(Noop(), timeout=_ANSWER_SECONDS)
            if self._places.other or self._places.shared:
                self._on_change()  # what others begin to share is not told
        elif ended.is_set():
            raise ConnectionLost("the server ended the connection")
        elif self._overflow.is_set():
            self._on_change()
            raise ServerBusy(OVERFLOW, "too much to tell")


def outside(wires: Iterable[bytes], places: Namespaces) -> list[bytes]:
    """Those of the mailboxes that are other users' or shared (RFC 2342)."""
    spaces = [(modutf7.encode(space.prefix), True) for space in places.personal]
    foreign = (*places.other, *places.shared)
    spaces += [(modutf7.encode(space.prefix), False) for space in foreign]
    # The longest prefix decides; a namespace without one has all other names.
    spaces.sort(key=lambda space: -len(space[0]))

    def is_own(wire: bytes) -> bool:
        own = (own for prefix, own in spaces if wire.startswith(prefix))
        return wire == b"INBOX" or next(own, True)

    return sorted(wire for wire in wires if not is_own(wire))
