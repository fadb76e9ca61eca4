"""Design §9: the link to the server fails at any command of a write, in any way.

A write is made once over a link that holds, which tells what it does and in how many commands. Then
it is made again and again, with the link failing at each of these commands.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.mailboxes import World, furnish, world
from tests.faults.scenes import SCENES, UNKNOWN, Blobs, Outcomes, Scene, gateway
from tests.servers.cutting import Cut, CuttingProxy
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.sync import raw
from tests.sync.follower import Follower

# More commands than a write has when it is interrupted once.
_MORE = 2


def check(name: str, before: World, after: World, now: World, outcomes: Outcomes) -> None:
    """What was told is true, and no message is lost or there twice."""
    for message in before.keys() | after.keys() | now.keys():
        had, wanted, has = (w.get(message, []) for w in (before, after, now))
        what = (name, message, outcomes.get(message, "not told"))
        mailboxes = [mailbox for mailbox, _ in has]
        assert len(set(mailboxes)) == len(mailboxes), ("doubled", *what, has)
        if message not in outcomes:
            assert has == had, ("touched", *what, had, has)
        elif outcomes[message] is None:
            assert has == wanted, ("not so", *what, wanted, has)
        elif outcomes[message] in UNKNOWN:
            assert has in (had, wanted), ("neither", *what, had, wanted, has)
        else:
            assert has == had, ("not undone", *what, had, has)


class Run:
    """One gateway over one link, on which a write is made again and again."""

    def __init__(
        self, server: Dovecot, user: User, proxy: CuttingProxy, follower: Follower, blobs: Blobs
    ) -> None:
        self.server = server
        self.user = user
        self.proxy = proxy
        self.follower = follower
        self.blobs = blobs

    async def once(self, scene: Scene, at: int | None, how: Cut) -> tuple[World, World, Outcomes]:
        """Make the write with everything as it was; what was before, what is now, what was told."""
        furnish(self.server, self.user)
        await self.follower.follow()
        before = world(self.server, self.user)
        self.proxy.cut(at, how)
        outcomes = await scene.act(self.follower.client, self.follower, self.blobs)
        self.commands = list(self.proxy.commands)
        self.reached = self.proxy.is_done
        self.proxy.cut(None)
        return before, world(self.server, self.user), outcomes

    async def check_changes(self) -> None:
        """A client that follows has what there is."""
        await self.follower.follow()
        assert self.follower.view() == raw.read(self.server, self.user)


async def _run(
    server: Dovecot, directory: Path, scene: Scene, how: Cut, blobs: Blobs
) -> dict[str, Outcomes]:
    """Cut at each command; what was told each time, by the command."""
    user = server.add_user()
    furnish(server, user)
    silence = 0.5 if how is Cut.STALL else 30.0
    told = {}
    async with (
        CuttingProxy(server.imap_port) as proxy,
        gateway(proxy.port, user, directory, silence=silence) as client,
    ):
        follower = Follower(client)
        await follower.load()
        run = Run(server, user, proxy, follower, blobs)
        before, after, outcomes = await run.once(scene, None, how)
        assert set(outcomes.values()) == {None}
        assert before != after
        await run.check_changes()
        for at in range(len(run.commands) + _MORE):
            before, now, outcomes = await run.once(scene, at, how)
            if not run.reached:
                break
            name = f"{at}: {run.commands[at][:60]!r}"
            check(name, before, after, now, outcomes)
            await run.check_changes()
            told[name] = outcomes
    return told


@pytest.mark.parametrize("how", Cut)
@pytest.mark.parametrize("scene", SCENES.values(), ids=lambda scene: scene.name)
async def test_each_message_is_there_once_and_the_truth_is_told(
    scene: Scene,
    how: Cut,
    server_named: Callable[[str], Dovecot],
    tmp_path: Path,
    blobs: Blobs,
) -> None:
    assert await _run(server_named("everything"), tmp_path, scene, how, blobs)


@pytest.mark.parametrize("how", [Cut.BEFORE, Cut.AFTER])
@pytest.mark.parametrize("scene", SCENES.values(), ids=lambda scene: scene.name)
@pytest.mark.parametrize("name", ["no-move", "no-uidplus", "no-condstore", "no-guids", "little"])
async def test_so_it_is_on_servers_that_can_less(
    name: str,
    scene: Scene,
    how: Cut,
    server_named: Callable[[str], Dovecot],
    tmp_path: Path,
    blobs: Blobs,
) -> None:
    assert await _run(server_named(name), tmp_path, scene, how, blobs)
