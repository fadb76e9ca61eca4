"""Design §6, faults F1 and F15: processes that share an account's log, and are killed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.store import open_store
from tests.store import writer
from tests.store.history import read_log
from tests.store.values import SECRET

STEPS = 15
KILLS = 3


class Writer:
    """A process of `tests.store.writer`; `told` is what it was told is in."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: list[bytes] = []

    async def run(self, steps: int) -> None:
        """Let it come so much further."""
        assert self._process.stdout is not None
        for _ in range(steps):
            line = await self._process.stdout.readline()
            assert line, "the process ended"
            self.told.append(line.strip())

    async def kill(self) -> None:
        """SIGKILL, at whatever it is just doing."""
        if self._process.returncode is None:
            self._process.kill()
        rest, _ = await self._process.communicate()
        # A line that was not written to its end was not printed.
        self.told += rest.split(b"\n")[:-1]


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty store."""
    if request.param == "redis":
        return str(request.getfixturevalue("redis_server").url)
    return (tmp_path / "store.db").as_uri().replace("file:", "sqlite:")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def test_writers_that_are_killed_leave_one_log_with_all_they_were_told_is_in(
    url: str, stack: AsyncExitStack
) -> None:
    """Two write at once, and none is hindered by what another one left."""

    async def start(name: str) -> Writer:
        command = (sys.executable, writer.__file__, url, name)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        started = Writer(process)
        stack.push_async_callback(started.kill)
        return started

    writers = [await start("first")]
    for number in range(KILLS):
        writers.append(await start(f"another{number}"))
        await asyncio.gather(*(each.run(STEPS) for each in writers[-2:]))
        await writers[-2].kill()
        await writers[-1].run(STEPS)
    await writers[-1].kill()
    store = open_store(url, SECRET, Path())
    stack.push_async_callback(store.close)
    log = await read_log(store)
    assert len(set(log)) == len(log)
    for each in writers:
        own = [value for value in log if value.split(b".")[0] == each.told[0].split(b".")[0]]
        assert own[: len(each.told)] == each.told
        assert len(own) - len(each.told) <= 1, "more than the call that was under way"
