"""What several clients did to one log in a store, and whether all of it can be true.

Design §6: a head that is replaced by compare-and-set, and one record for each value it had. From
the head the records lead back to the beginning, so the log itself tells which calls were applied
and in which order; a history is linearizable when all answers, and their order in time, agree
with that.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from gateway.store import Store, StoreUnavailable
from tests.store.values import ALICE

HEAD = "head"
END = b""
PROGRESS_SECONDS = 30.0


class End(Enum):
    """How a call ended."""

    DONE = "done"
    REFUSED = "refused"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True)
class Replaced:
    """One call of `replace`, with the ticks of the clock at which it began and ended."""

    began: int
    ended: int
    old: bytes | None
    new: bytes
    end: End


@dataclass(frozen=True, slots=True)
class Loaded:
    """One call of `load` that gave an answer."""

    began: int
    ended: int
    value: bytes | None


def entries(old: bytes | None, new: bytes) -> dict[str, bytes | None]:
    """A head, and the record that tells what it followed."""
    return {HEAD: new, f"log/{new.decode()}": END if old is None else old}


async def read_log(store: Store) -> list[bytes]:
    """The values the head had, oldest first; AssertionError when a record is missing."""
    values: list[bytes] = []
    value = await store.load(ALICE, HEAD)
    while value is not None:
        values.append(value)
        before = await store.load(ALICE, f"log/{value.decode()}")
        assert before is not None, f"{value!r} has no record"
        value = before if before != END else None
    return values[::-1]


class History:
    """Records what clients do, each of which is a task that runs `write` until `stop`."""

    def __init__(self, began: int = 0) -> None:
        self.replaced: list[Replaced] = []
        self.loaded: list[Loaded] = []
        self._clock = itertools.count(began)
        self._done = 0
        self._failed = 0
        self._recorded = asyncio.Event()
        self._stopped = False

    def stop(self) -> None:
        """Let the clients end."""
        self._stopped = True

    async def write(self, store: Store, name: str) -> None:
        """Replace the head again and again; a call in doubt is made again, or not."""
        for number in itertools.count():
            if self._stopped:
                return
            new = f"{name}.{number}".encode()
            with suppress(StoreUnavailable):
                old = await self._load(store)
                while await self._replace(store, old, new) is End.DOUBT and number % 3:
                    with suppress(StoreUnavailable):
                        await store.ping()

    async def grown(self, more: int) -> None:
        """Wait until `more` further values are in."""
        wanted = self._done + more
        await self._until(lambda: self._done >= wanted)

    async def failed(self, more: int) -> None:
        """Wait until `more` further calls have ended in StoreUnavailable."""
        wanted = self._failed + more
        await self._until(lambda: self._failed >= wanted)

    async def _until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(PROGRESS_SECONDS):
            while not reached():
                self._recorded.clear()
                await self._recorded.wait()

    async def _load(self, store: Store) -> bytes | None:
        began = next(self._clock)
        try:
            value = await store.load(ALICE, HEAD)
        except StoreUnavailable:
            self._failed += 1
            self._recorded.set()
            raise
        self.loaded.append(Loaded(began, next(self._clock), value))
        return value

    async def _replace(self, store: Store, old: bytes | None, new: bytes) -> End:
        began = next(self._clock)
        try:
            done = await store.replace(ALICE, HEAD, old, entries(old, new))
            end = End.DONE if done else End.REFUSED
        except StoreUnavailable:
            end = End.DOUBT
        self.replaced.append(Replaced(began, next(self._clock), old, new, end))
        self._done += end is End.DONE
        self._failed += end is End.DOUBT
        self._recorded.set()
        return end

    def check(self, log: list[bytes]) -> None:
        """AssertionError unless all answers agree with the log, and with the order in time."""
        place: dict[bytes | None, int] = {None: -1} | {value: n for n, value in enumerate(log)}
        calls: dict[bytes, list[Replaced]] = defaultdict(list)
        for call in self.replaced:
            calls[call.new].append(call)
        assert len(place) == len(log) + 1
        for value, attempts in calls.items():
            ends = {call.end for call in attempts}
            assert value in place or End.DONE not in ends, f"{value!r} was lost"
            assert value not in place or ends != {End.REFUSED}, f"{value!r} was refused"
        for value in log:
            old = calls[value][0].old
            assert place[value] == place[old] + 1, f"{value!r} does not follow {old!r}"
        for call in self.replaced:
            if call.end is End.REFUSED and call.old in place:
                [overtaking] = log[place[call.old] + 1 :][:1]
                assert calls[overtaking][0].began < call.ended, f"{call} was refused"
        for load in self.loaded:
            assert load.value in place, f"{load} was never in"
            if load.value is not None:
                assert calls[load.value][0].began < load.ended, f"{load} came too early"
        self._check_order(place, calls)

    def _check_order(
        self, place: dict[bytes | None, int], calls: dict[bytes, list[Replaced]]
    ) -> None:
        """What ended before another call began is not after it in the log."""
        # Each is at `place` at some tick from `began` to `ended`.
        seen = [(call.began, call.ended, place[call.value]) for call in self.loaded]
        for value, attempts in calls.items():
            if value in place:
                done = [call.ended for call in attempts if call.end is End.DONE]
                ended = min(done, default=next(self._clock))
                seen.append((attempts[0].began, ended, place[value]))
        by_end = sorted(seen, key=lambda each: each[1])
        latest, index = -1, 0
        for began, _, at in sorted(seen):
            while by_end[index][1] < began:
                latest = max(latest, by_end[index][2])
                index += 1
            assert at >= latest, "the log went back"
