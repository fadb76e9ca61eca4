"""RFC 9661, RFC 8621 §8: the Sieve scripts of a user, and the vacation response among them.

ManageSieve tells of no changes and has no conditional ones. So all scripts are read whenever
somebody wants to know, and before something is changed; what is there then is the state.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.managesieve import scripts as commands
from gateway.managesieve.errors import CommandRefused, ScriptNotFound, SieveError
from gateway.managesieve.wire.capability import Capabilities
from gateway.managesieve.wire.responses import Listed
from gateway.sieve.installation import Stored
from gateway.store.base import Durable
from gateway.sync.errors import ScriptsTooLarge, ScriptsUnavailable
from gateway.sync.script_ids import ScriptIds
from gateway.sync.scripts import Scripts, seen
from gateway.sync.sieve_access import SieveAccess, unavailable
from gateway.sync.turns import off_loop

MAX_SCRIPT_OCTETS: Final = 1 << 20
"""Of a script that is stored; servers take as much, or less."""
MAX_OCTETS: Final = 16 << 20
"""Of all scripts of a user, which are in memory while they are looked at."""
_MAX_SCRIPTS: Final = 1000
_LOOK_SECONDS: Final = 60.0
_ATTEMPTS: Final = 3


class Sieve:
    """What there is of a user's scripts, over the user's connection."""

    def __init__(self, access: SieveAccess, durable: Durable, account_id: str) -> None:
        self.access = access
        self.script_ids = ScriptIds(durable, account_id)
        self._known: Scripts | None = None
        self._looked_at = float("-inf")
        access.on_rest = self._forget

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server can do for the user; None if that is nothing, as far as is known."""
        return self.access.capabilities

    async def fresh(self, seconds: float = 0.0) -> Scripts:
        """All scripts, as of so many seconds ago at most.

        Raises ScriptsUnavailable, and NotCommitted when the store fails.
        """
        asked = time.monotonic()
        async with self.access.held():
            known = self._known
            if known is None or self._looked_at < asked - seconds:
                known = await self.look()
            return known

    async def check(self, content: bytes) -> None:
        """Find out whether a script is valid.

        Raises ScriptInvalid, or another CommandRefused (CommandUnsupported, OverQuota); and
        ScriptsUnavailable.
        """
        async with self.access.held():
            with unavailable():
                await self.access.run(lambda c: commands.check_script(c, content))

    # --- for who holds them ----------------------------------------------------------------------

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Scripts]:
        """Have the scripts for oneself, as they are now. Raises what `fresh` does."""
        async with self.access.held():
            try:
                yield await self.look()
            finally:
                self._known = None

    async def look(self) -> Scripts:
        """Read all scripts. Raises what `fresh` does."""
        self._known = None
        started = time.monotonic()
        async with _deadline(_LOOK_SECONDS):
            stored = await self._read()
            found = await self.script_ids.of([each.name for each in stored])
            octets = sum(len(each.content) for each in stored)
            known = await off_loop(octets, seen, stored, found)
        self._known, self._looked_at = known, started
        return known

    async def listed(self) -> list[Listed]:
        """The names of all scripts, and which one is active. Raises ScriptsUnavailable."""
        try:
            return await self.access.run(commands.list_scripts)
        except SieveError as error:  # there is nothing in it that could be refused
            raise ScriptsUnavailable(str(error)) from error

    def _forget(self) -> None:
        """Give back the memory."""
        self._known = None

    async def _read(self) -> tuple[Stored, ...]:
        """A session that was idle may be dead, or stale, and a script be gone that was listed."""
        for _ in range(_ATTEMPTS):
            was_open = self.access.is_open
            try:
                return await self._read_once()
            except ScriptNotFound:
                continue
            except ScriptsUnavailable:  # ScriptsTooLarge leaves the connection open
                if self.access.is_open or not was_open:
                    raise
        raise ScriptsUnavailable("scripts come and go")

    async def _read_once(self) -> tuple[Stored, ...]:
        listed = await self.listed()
        if len(listed) > _MAX_SCRIPTS:
            raise ScriptsTooLarge(f"more than {_MAX_SCRIPTS} scripts")
        found: dict[str, Stored] = {}
        octets = 0
        for name, active in listed:
            content = await self._content(name)
            octets += len(content)
            if octets > MAX_OCTETS:
                raise ScriptsTooLarge(f"scripts of more than {MAX_OCTETS} octets")
            found[name] = Stored(name, active, content)
        return tuple(found.values())

    async def _content(self, name: str) -> bytes:
        try:
            with unavailable():
                return await self.access.run(lambda c: commands.get_script(c, name))
        except ScriptNotFound:
            raise
        except (CommandRefused, ValueError) as error:  # as a name that none can have
            await self.access.renew()
            raise ScriptsUnavailable(str(error)) from error

    async def close(self) -> None:
        """Close the connection."""
        await self.access.close()


@asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    """Raises ScriptsUnavailable when what is inside takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise ScriptsUnavailable(f"the scripts take more than {seconds:g} s") from error
