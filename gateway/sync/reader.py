"""RFC 9051 §6.4.5: commands on the messages of one mailbox, over the account's pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.imap.command import Command
from gateway.imap.commands.examine import Examine, denies_mailbox
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused
from gateway.imap.pool import Pool
from gateway.sync.attempts import attempt
from gateway.sync.data import AccountData
from gateway.sync.errors import MailboxChanged

DEADLINE = 60.0


class Reader:
    """Runs commands in a selected mailbox, in one round trip."""

    def __init__(self, data: AccountData, pool: Pool) -> None:
        self.data = data
        self.pool = pool

    async def run(
        self, number: int, make: Callable[[Connection], Sequence[Command[Any]]], *, again: bool
    ) -> list[Any]:
        """Results of the commands in a mailbox, CommandRefused where the server refused.

        An idle connection may turn out to be dead, so the loss of one is tried again, once; so is
        a short pause that the server asks for.
        again: select the mailbox anew, so that messages are seen that came since it was.
        Raises MailboxChanged, and ImapError when the connection fails.
        """
        mailbox = self.data.by_number().get(number)
        if mailbox is None or mailbox.wire is None:
            raise MailboxChanged("the mailbox is gone")
        wire = mailbox.wire

        async def work(connection: Connection) -> list[Any]:
            results = await self._run(connection, number, wire, make(connection), again)
            if not again and any(map(_denies_mailbox, results)):
                results = await self._run(connection, number, wire, make(connection), again=True)
            return results

        return await attempt(self.pool, work, wire, deadline=DEADLINE)

    async def _run(
        self,
        connection: Connection,
        number: int,
        wire: bytes,
        commands: Sequence[Command[Any]],
        again: bool,
    ) -> list[Any]:
        selected = connection.selected
        if again or selected is None or selected.mailbox != wire:
            examined, *results = await connection.run_all(Examine(wire), *commands)
            if isinstance(examined, CommandRefused):
                raise MailboxChanged(str(examined))
        else:
            results = await connection.run_all(*commands)
        selected = connection.selected
        if selected is None or selected.uidvalidity != self._uidvalidity(number):
            raise MailboxChanged("UIDVALIDITY is another one")
        return results

    def _uidvalidity(self, number: int) -> int:
        return self.data.index.mailbox(number).uidvalidity

    def by_mailbox(self, rows: Iterable[int]) -> dict[int, dict[int, int]]:
        """Rows by one of their placements: {mailbox number: {UID: row}}."""
        groups: dict[int, dict[int, int]] = {}
        for row in rows:
            for number, uid in self.data.emails.placements(row)[:1]:
                groups.setdefault(number, {})[uid] = row
        return groups


def _denies_mailbox(result: object) -> bool:
    return isinstance(result, CommandRefused) and denies_mailbox(result)
