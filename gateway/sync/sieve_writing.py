"""RFC 9661 §2.4, RFC 8621 §8.2: changing a user's scripts, so that what is in force stays in force.

Nobody else of this process changes them meanwhile, but other programs may. What was changed is
known from what the server answered; after a lost connection it is looked for, and done once more if
it is not there. What is in force is compared with what it was right before another script is made
the active one, and with what it is to be afterwards.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

from gateway.managesieve import scripts as commands
from gateway.managesieve.connection import Connection
from gateway.managesieve.errors import (
    CommandRefused,
    CommandUnsupported,
    ScriptExists,
    ScriptInvalid,
    ScriptNotFound,
    ScriptTooLarge,
)
from gateway.sieve import installation
from gateway.sieve.installation import NAME, Activate, Delete, Put, State, Step, Stored, Unsupported
from gateway.sync.errors import ScriptsUnavailable
from gateway.sync.script_ids import assign
from gateway.sync.scripts import Change, Rename, Scripts, after, is_made, renames
from gateway.sync.sieve import MAX_SCRIPT_OCTETS, Sieve
from gateway.sync.sieve_access import unavailable
from gateway.sync.turns import off_loop

T = TypeVar("T")

_SECONDS: Final = 180.0
"""After which nothing more is begun."""
_ROUNDS: Final = 4


class NameRefused(Exception):
    """The server does not take the name of a script; `text` says why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@asynccontextmanager
async def writing(sieve: Sieve) -> AsyncIterator[SieveWriting]:
    """Hold the scripts for changing them. Raises ScriptsUnavailable, NotCommitted."""
    async with sieve.held() as scripts:
        yield SieveWriting(sieve, scripts)


class SieveWriting:
    """Scripts that are held, as they are by now.

    The methods raise CommandRefused of gateway.managesieve, NameRefused, and NotInstallable of
    gateway.sieve for what can not be done, and nothing is changed then; ScriptsUnavailable when
    it can not be found out, or not in time, whether it is done; NotCommitted when the store fails.
    """

    def __init__(self, sieve: Sieve, scripts: Scripts) -> None:
        self.scripts = scripts
        self._sieve = sieve
        self._until = time.monotonic() + _SECONDS

    # --- scripts ---------------------------------------------------------------------------------

    async def put(self, name: str, content: bytes) -> str:
        """Store a script of the user, in place of one of that name; the name that it has then.

        One that is in force with a vacation response stays so.
        """
        before = self.scripts.ids.keys()
        put = Put(name, content)
        todo: list[Step] = [put]
        if self.scripts.in_force.vacation.is_enabled:
            further = await self._steps(after(self.scripts.stored, put), self.scripts.in_force)
            is_in_it = any(isinstance(step, Put) and step.name == name for step in further)
            todo = further if is_in_it else [put, *further]
        try:
            await self._carry_out(todo)
        except ScriptInvalid as error:
            raise await self._what_is_wrong(error, content) from None
        return next(iter(self.scripts.ids.keys() - before), name)

    async def _what_is_wrong(self, error: ScriptInvalid, content: bytes) -> Exception:
        """What is wrong with the script, in the lines the user knows; else it is the name."""
        try:
            await self._run(lambda connection: commands.check_script(connection, content))
        except ScriptInvalid as invalid:
            return invalid
        except CommandUnsupported:
            return error
        return NameRefused(error.text)

    async def rename(
        self, wanted: Mapping[str, str]
    ) -> dict[str, CommandRefused | ScriptsUnavailable]:
        """Give scripts new names, by the present ones; why not, of those that did not get theirs.

        The wanted names are different from each other and from those of all other scripts.
        """
        first = {self.scripts.ids[name]: name for name in wanted}
        failures: dict[str, CommandRefused | ScriptsUnavailable] = {}
        for step in renames(wanted, self.scripts.ids):
            name = first[self.scripts.ids[step.name]]
            if name in failures:
                continue
            try:
                await self._rename(step)
            except (CommandRefused, ScriptsUnavailable) as error:
                failures[name] = error
                if isinstance(error, ScriptExists):  # another program has made it
                    self.scripts = await self._sieve.look()
                if step.name != name:  # it has another name for a moment
                    with suppress(ScriptsUnavailable, CommandRefused):
                        await self._rename(Rename(step.name, name))
        return failures

    async def _rename(self, step: Rename) -> None:
        in_force = self.scripts.in_force
        active = [each.name for each in self.scripts.stored if each.active]
        if in_force.script != step.name or active != [NAME]:
            await self._make(step)
            return
        # It is included by name, so there are two of it for a moment, lest there be none.
        id_ = self.scripts.ids[step.name]
        (content,) = (each.content for each in self.scripts.stored if each.name == step.name)
        await self._make(Put(step.new, content))
        await self._carry_out(
            await self._steps(self.scripts.stored, State(in_force.vacation, step.new))
        )
        await self._make(Delete(step.name))
        await self._keep_id(step.new, id_)

    async def destroy(self, name: str) -> None:
        """Delete a script, which is not in force."""
        await self._make(Delete(name))

    # --- what is in force ------------------------------------------------------------------------

    async def install(self, wish: Callable[[State], State]) -> None:
        """Bring in force what is wished for, given what is in force.

        `wish` is asked again when another program has changed that meanwhile.
        """
        before = self.scripts.in_force
        for _ in range(_ROUNDS):
            wanted = wish(self.scripts.in_force)
            if wanted.script is not None and wanted.script not in self.scripts.ids:
                raise ScriptNotFound("SETACTIVE", "NONEXISTENT", "there is no such script any more")
            todo = await self._steps(self.scripts.stored, wanted)
            if not todo:
                return
            try:
                await self._carry_out(todo, guarded=True)
            except CommandRefused:
                with suppress(CommandRefused, ScriptsUnavailable, installation.NotInstallable):
                    await self._carry_out(await self._steps(self.scripts.stored, before))
                raise
            self.scripts = await self._sieve.look()
        raise ScriptsUnavailable("other programs change the scripts all the time")

    async def _steps(self, stored: Sequence[Stored], wanted: State) -> list[Step]:
        """What brings it in force. Raises NotInstallable."""
        capabilities = self._sieve.capabilities
        extensions = capabilities.extensions if capabilities is not None else ()
        try:
            return await off_loop(
                sum(len(each.content) for each in stored),
                installation.steps,
                extensions,
                stored,
                wanted.vacation,
                wanted.script,
            )
        except Unsupported:
            if wanted.vacation.is_enabled or wanted.vacation != self.scripts.in_force.vacation:
                raise
            activate = Activate(wanted.script or "")
            return [] if is_made(stored, activate) else [activate]

    async def _carry_out(self, todo: Sequence[Step], *, guarded: bool = False) -> None:
        """Make the steps; guarded: not those after which another script would be overridden."""
        for step in todo:
            if isinstance(step, Put) and len(step.content) > MAX_SCRIPT_OCTETS:
                raise ScriptTooLarge("PUTSCRIPT", None, f"more than {MAX_SCRIPT_OCTETS} octets")
            if guarded and isinstance(step, Activate) and await self._is_another_active():
                return
            await self._make(step)

    async def _is_another_active(self) -> bool:
        """Whether another program has made another script active meanwhile."""
        listed = [name for name, active in await self._sieve.listed() if active]
        return listed != [each.name for each in self.scripts.stored if each.active]

    # --- single changes --------------------------------------------------------------------------

    async def _make(self, change: Change) -> None:
        before = self.scripts.ids
        try:
            await self._run(lambda connection: _send(connection, change))
        except (ScriptsUnavailable, CommandRefused) as error:
            if isinstance(error, CommandRefused):
                if type(error) is not CommandRefused:
                    raise
                await self._sieve.access.renew()  # it may not be about the command
            self.scripts = await self._sieve.look()
            if not is_made(self.scripts.stored, change):
                await self._run(lambda connection: _send(connection, change))
        change = await self._as_named(change)
        stored = after(self.scripts.stored, change)
        found, _ = assign([each.name for each in stored], self.scripts.ids)
        self.scripts = Scripts(stored, found)
        if isinstance(change, Rename):
            await self._keep_id(change.new, before[change.name])
        elif isinstance(change, Put) and change.name not in before:
            await self._sieve.script_ids.of(found)

    async def _as_named(self, change: Change) -> Change:
        """The change as the server has made it: Cyrus writes other names than ASCII in ASCII."""
        if not isinstance(change, Put | Rename):
            return change
        name = change.name if isinstance(change, Put) else change.new
        if name.isascii() or name in self.scripts.ids:
            return change
        listed = {each.name for each in await self._sieve.listed()}
        added = listed - self.scripts.ids.keys()
        if name in listed or len(added) != 1:
            return change
        (given,) = added
        return Put(given, change.content) if isinstance(change, Put) else Rename(change.name, given)

    async def _keep_id(self, name: str, id_: str) -> None:
        others = {n: each for n, each in self.scripts.ids.items() if n != name}
        self.scripts = Scripts(self.scripts.stored, others | {name: id_})
        await self._sieve.script_ids.rename(self.scripts.ids, {name: id_})

    async def _run(self, command: Callable[[Connection], Awaitable[T]]) -> T:
        if time.monotonic() > self._until:
            raise ScriptsUnavailable(f"changing the scripts takes more than {_SECONDS:g} s")
        with unavailable():
            return await self._sieve.access.run(command)


async def _send(connection: Connection, change: Change) -> None:
    match change:
        case Put(name, content):
            await commands.put_script(connection, name, content)
        case Activate(name):
            await commands.set_active(connection, name)
        case Delete(name):
            await commands.delete_script(connection, name)
        case Rename(name, new):
            await commands.rename_script(connection, name, new)
