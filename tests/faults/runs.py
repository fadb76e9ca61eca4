"""Design §9: a write made again and again, with something going wrong at each of its commands."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Container
from contextlib import asynccontextmanager
from pathlib import Path

from tests.faults.mailboxes import World, furnish, world
from tests.faults.scenes import UNKNOWN, Blobs, Outcomes, Scene, gateway
from tests.servers.cutting import Cut, CuttingProxy
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.sync import raw
from tests.sync.follower import Follower

# More commands than a write has when it is interrupted once.
_MORE = 2
WRITES = re.compile(rb"UID (?:STORE|COPY|MOVE|EXPUNGE)|APPEND|EXPUNGE")
"""The commands that change something."""


class Run:
    """One gateway over one link.

    before, after: what was there, and what is when nothing goes wrong. now, outcomes, command: what
    is there after the last write, what was told of it, and where something went wrong.
    """

    def __init__(
        self, server: Dovecot, user: User, proxy: CuttingProxy, follower: Follower, blobs: Blobs
    ) -> None:
        self._server = server
        self.user = user
        self._follower = follower
        self._blobs = blobs
        self.proxy = proxy
        self.before: World = {}
        self.after: World = {}
        self.now: World = {}
        self.outcomes: Outcomes = {}
        self.command = ""

    async def each(self, scene: Scene, how: Cut) -> AsyncIterator[None]:
        """Make the write over and over, with everything as it was, and look at what is there."""
        await self._once(scene, None, how)
        assert set(self.outcomes.values()) == {None}
        assert self.before != self.now
        self.after, commands = self.now, len(self.proxy.commands)
        for at in range(commands + _MORE):
            if not await self._once(scene, at, how):
                break
            yield

    async def _once(self, scene: Scene, at: int | None, how: Cut) -> bool:
        """Whether it came to the command."""
        furnish(self._server, self.user)
        await self._follower.follow()
        self.before = world(self._server, self.user)
        self.proxy.cut(at, how)
        self.outcomes = await scene.act(self._follower.client, self._follower, self._blobs)
        reached = self.proxy.is_done
        self.command = f"{at}: {self.proxy.commands[at][:60]!r}" if at and reached else f"{at}"
        self.now = world(self._server, self.user)
        # A client that follows has what there is.
        await self._follower.follow()
        assert self._follower.view() == raw.read(self._server, self.user), self.command
        return reached

    def check(self, others: Container[str] = ()) -> None:
        """What was told is true, and no message is lost or there twice.

        others: messages to which somebody else has done something meanwhile.
        """
        for message in self.before.keys() | self.after.keys() | self.now.keys():
            worlds = (self.before, self.after, self.now)
            had, wanted, has = (each.get(message, []) for each in worlds)
            told = self.outcomes.get(message, "not told of")
            what = (self.command, message, told, had, wanted, has)
            mailboxes = [mailbox for mailbox, _ in has]
            assert len({*mailboxes}) == len(mailboxes), ("doubled", *what)
            if message in others:
                continue
            if message not in self.outcomes:
                assert has == had, ("touched", *what)
            elif told is None:
                assert has == wanted, ("not done", *what)
            elif told in UNKNOWN:
                assert has in (had, wanted), ("neither", *what)
            else:
                assert has == had, ("not taken back", *what)


@asynccontextmanager
async def running(
    server: Dovecot, directory: Path, blobs: Blobs, *, silence: float = 30.0
) -> AsyncIterator[Run]:
    """A gateway that knows all of an account of its own."""
    user = server.add_user()
    furnish(server, user)
    async with (
        CuttingProxy(server.imap_port) as proxy,
        gateway(proxy.port, user, directory, silence=silence) as client,
    ):
        follower = Follower(client)
        await follower.load()
        yield Run(server, user, proxy, follower, blobs)


Named = Callable[[str], Dovecot]
