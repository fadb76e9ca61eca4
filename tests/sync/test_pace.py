"""Design §12: no more logins in any second than the mail server is to bear."""

from __future__ import annotations

import asyncio

import pytest

from gateway.imap.errors import ServerBusy
from gateway.sync import pace
from gateway.sync.pace import Pace


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "get_running_loop", lambda: clock)
    monkeypatch.setattr(pace, "sleep", clock.sleep)
    return clock


async def _moments(turns: Pace, clock: Clock, count: int) -> list[float]:
    """When each of so many that come one after another has its turn."""
    moments = []
    for _ in range(count):
        await turns.turn()
        moments.append(clock.now)
    return moments


@pytest.mark.parametrize("per_second", [1, 2, 10, 50])
async def test_no_second_has_more(per_second: int, clock: Clock) -> None:
    moments = await _moments(Pace(per_second), clock, 300)
    for moment in moments:
        assert sum(moment <= other < moment + 1.0 for other in moments) <= per_second + 1
    assert moments[-1] - moments[0] <= 300 / (0.7 * per_second) + 1


async def test_the_usual_ones_wait_for_nothing(clock: Clock) -> None:
    turns = Pace(50)
    for _ in range(20):
        assert len(set(await _moments(turns, clock, 5))) == 1
        clock.now += 1.0


async def test_who_would_wait_for_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forever(_seconds: float) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(pace, "sleep", forever)
    turns = Pace(10)
    waiting = [asyncio.create_task(turns.turn()) for _ in range(400)]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
        assert any(isinstance(task.exception(), ServerBusy) for task in done)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
