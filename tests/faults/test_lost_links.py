"""Design §9: the link to the server fails at any command of a write, in any way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.runs import WRITES, Named, running
from tests.faults.scenes import SCENES, UNKNOWN, Blobs, Scene
from tests.servers.cutting import Cut
from tests.servers.dovecot import Dovecot

_EVERY = tuple(SCENES)
# How the link fails, in which writes; what would be the same as another failure is left out.
_FAILURES = {
    Cut.BEFORE: _EVERY,
    Cut.UPLOAD: ("import", "create"),
    Cut.AFTER: _EVERY,
    Cut.INSIDE: _EVERY,
    Cut.BYE: ("mailboxes", "import"),
    Cut.STALL: _EVERY,
    Cut.REFUSED: _EVERY,
}


async def _fail_everywhere(
    server: Dovecot, directory: Path, scene: Scene, how: Cut, blobs: Blobs
) -> None:
    stalls = how is Cut.STALL
    tried = 0
    async with running(server, directory, blobs, silence=2.0 if stalls else 30.0) as run:
        if stalls:
            run.proxy.counted = WRITES
        async for _ in run.each(scene, how):
            run.check()
            tried += 1
    assert tried


@pytest.mark.parametrize(
    ("how", "scene"),
    [(how, scene) for how, scenes in _FAILURES.items() for scene in scenes],
    ids=lambda value: value.name if isinstance(value, Cut) else value,
)
async def test_each_message_is_there_once_and_the_truth_is_told(
    scene: str, how: Cut, server_named: Named, tmp_path: Path, blobs: Blobs
) -> None:
    await _fail_everywhere(server_named("everything"), tmp_path, SCENES[scene], how, blobs)


# What each server lacks, and the writes that would use it.
_LESS = {
    "no-move": ("mailboxes", "both"),
    "no-uidplus": ("mailboxes", "destroy", "import", "create"),
    "no-condstore": ("keywords",),
    "no-guids": ("mailboxes", "import"),
    "little": ("mailboxes", "destroy", "import"),
}


@pytest.mark.parametrize("how", [Cut.BEFORE, Cut.AFTER], ids=lambda how: how.name)
@pytest.mark.parametrize(
    ("name", "scene"), [(name, scene) for name, scenes in _LESS.items() for scene in scenes]
)
async def test_so_it_is_on_servers_that_can_less(
    name: str, scene: str, how: Cut, server_named: Named, tmp_path: Path, blobs: Blobs
) -> None:
    await _fail_everywhere(server_named(name), tmp_path, SCENES[scene], how, blobs)


@pytest.mark.parametrize("scene", ["keywords", "mailboxes", "both", "destroy"])
async def test_a_link_that_fails_once_before_or_after_a_change_is_made_up_for(
    scene: str, server_named: Named, tmp_path: Path, blobs: Blobs
) -> None:
    """The client hears nothing of it."""
    async with running(server_named("everything"), tmp_path, blobs) as run:
        run.proxy.counted = WRITES
        for how in (Cut.BEFORE, Cut.AFTER):
            async for _ in run.each(SCENES[scene], how):
                assert set(run.outcomes.values()) == {None}, run.command
                run.check()


@pytest.mark.parametrize("scene", ["import", "create"])
async def test_a_message_that_is_not_sent_yet_when_the_link_fails_is_sent_again(
    scene: str, server_named: Named, tmp_path: Path, blobs: Blobs
) -> None:
    """What has been sent is looked for instead, and is there if the server got it."""
    async with running(server_named("everything"), tmp_path, blobs) as run:
        run.proxy.counted = WRITES
        async for _ in run.each(SCENES[scene], Cut.AFTER):
            assert set(run.outcomes.values()) == {None}, run.command
            run.check()
        async for _ in run.each(SCENES[scene], Cut.BEFORE):
            assert {*run.outcomes.values()} - {None} <= UNKNOWN, run.command
            run.check()
