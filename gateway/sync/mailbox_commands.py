"""RFC 9051 §6.3.4-§6.3.8: CREATE, RENAME, DELETE and SUBSCRIBE, each done once.

When a connection is lost over a command, the names there are tell whether it was carried out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeVar

from gateway.imap.command import Command
from gateway.imap.commands.create import Create
from gateway.imap.commands.delete import Delete
from gateway.imap.commands.examine import leave
from gateway.imap.commands.list import List, Listed
from gateway.imap.commands.rename import Rename
from gateway.imap.commands.status import Status, StatusOf
from gateway.imap.commands.subscribe import Subscribe, Unsubscribe
from gateway.imap.connection import Connection
from gateway.imap.errors import AuthenticationFailed, CommandRefused, ImapError
from gateway.imap.pool import Pool
from gateway.sync.attempts import attempt
from gateway.sync.failures import Unknown
from gateway.sync.listed_names import ListedNames

DEADLINE = 30.0
_ATTEMPTS = 2
_CREATE_USE = "CREATE-SPECIAL-USE"

T = TypeVar("T")
Names = Mapping[bytes, Listed]


class MailboxCommands:
    """The commands, by wire names.

    They raise CommandRefused; Unknown when the server can not be reached to find out what became of
    them, AuthenticationFailed. `listed` gets to know what was done.
    """

    def __init__(self, pool: Pool, listed: ListedNames) -> None:
        self._pool = pool
        self._listed = listed

    async def create(self, wire: bytes, delimiter: str | None, use: str | None) -> None:
        """CREATE, with a special use if the server takes it."""

        def make(connection: Connection, use: str | None = use) -> Command[None]:
            told = use if _CREATE_USE in connection.capabilities else None
            return Create(wire, delimiter, told)

        try:
            await self._do(make, lambda names: _is_there(names, wire))
            self._listed.made(wire)
        except CommandRefused as refused:
            # RFC 6154 §3: USEATTR. Some servers find no code for it.
            if use is None or refused.code not in ("USEATTR", "CANNOT", None):
                raise
            await self.create(wire, delimiter, None)

    async def rename(self, wire: bytes, to: bytes) -> None:
        """RENAME to a name that no mailbox has."""
        await self._do(lambda _: Rename(wire, to), lambda names: to in names)
        self._listed.renamed(wire, to)

    async def delete(self, wire: bytes) -> None:
        """DELETE."""
        await self._do(lambda _: Delete(wire), lambda names: not _is_there(names, wire))
        self._listed.gone(wire)

    async def subscribe(self, wire: bytes, *, on: bool) -> None:
        """SUBSCRIBE, or UNSUBSCRIBE."""
        await self._do(lambda _: (Subscribe if on else Unsubscribe)(wire), lambda _: False)

    async def subscribe_all(self, on: Collection[bytes], off: Collection[bytes]) -> None:
        """As many of these as the server takes."""
        commands = [*map(Unsubscribe, off), *map(Subscribe, on)]

        async def work(connection: Connection) -> None:
            await connection.run_all(*commands)

        if commands:
            await self._ask(work)

    async def names(self) -> Names:
        """What there is."""

        async def work(connection: Connection) -> Names:
            return {listed.wire: listed for listed in await connection.run(List())}

        return await self._ask(work)

    async def figures(self, wire: bytes) -> Status | None:
        """How many messages there are, and which UID comes next."""

        async def work(connection: Connection) -> Status | None:
            # Dovecot's STATUS of the selected mailbox is of what was selected.
            *_, status = await connection.run_all(
                *leave(connection), StatusOf(wire, ("MESSAGES", "UIDNEXT"))
            )
            return status if isinstance(status, Status) else None

        return await self._ask(work)

    async def _ask(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            return await attempt(self._pool, work, deadline=DEADLINE)
        except AuthenticationFailed:
            raise
        except ImapError as error:
            raise Unknown(str(error)) from error

    async def _do(
        self, make: Callable[[Connection], Command[None]], is_done: Callable[[Names], bool]
    ) -> None:
        lost: ImapError | None = None
        for _ in range(_ATTEMPTS):
            try:
                async with self._pool.connection(deadline=DEADLINE) as connection:
                    if before := leave(connection):
                        await connection.run_all(*before)
                    await connection.run(make(connection))
                return
            except CommandRefused:
                # The server may have carried out the first one meanwhile.
                if lost is None or not is_done(await self.names()):
                    raise
                return
            except AuthenticationFailed:
                raise
            except ImapError as error:
                lost = error
                if is_done(await self.names()):
                    return
        raise Unknown(str(lost)) from lost


def _is_there(names: Names, wire: bytes) -> bool:
    return wire in names and names[wire].selectable
