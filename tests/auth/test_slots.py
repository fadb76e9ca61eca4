"""RFC 8620 §8.5: so many at once for each key, the next ones in a queue, the rest refused."""

from __future__ import annotations

import asyncio

import pytest

from gateway.auth.slots import NoSlot, Slots


async def test_queue_is_first_come_first_served_and_bounded() -> None:
    slots = Slots(running=2, waiting=3, seconds=60)
    running: list[int] = []
    done = asyncio.Event()

    async def work(number: int) -> None:
        async with slots.slot("ann"):
            running.append(number)
            await done.wait()

    tasks = [asyncio.create_task(work(number)) for number in range(6)]
    with pytest.raises(NoSlot):
        await tasks[5]
    assert running == [0, 1]
    async with slots.slot("bob"):
        pass
    done.set()
    await asyncio.gather(*tasks[:5])
    assert running == [0, 1, 2, 3, 4]


async def test_wait_has_a_deadline() -> None:
    slots = Slots(running=1, waiting=1, seconds=0.01)
    async with slots.slot("ann"):
        with pytest.raises(NoSlot):
            async with slots.slot("ann"):
                pytest.fail("entered a slot that is taken")
    async with slots.slot("ann"):
        pass


async def test_what_happens_inside_frees_the_slot() -> None:
    slots = Slots(running=1, waiting=0, seconds=60)
    for error in (TimeoutError, NoSlot, asyncio.CancelledError):
        with pytest.raises(error):
            async with slots.slot("ann"):
                raise error
    async with slots.slot("ann"):
        pass


async def test_unused_keys_take_no_memory() -> None:
    slots = Slots(running=1, waiting=0, seconds=60)
    for number in range(10):
        async with slots.slot(number):
            pass
    assert slots._queues == {}
