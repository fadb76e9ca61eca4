"""RFC 8620 §8.5: memory for the bodies of requests is shared."""

from __future__ import annotations

import asyncio

import pytest

from gateway.http.body import ByteBudget
from gateway.http.errors import Overloaded


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_line_is_served_in_order() -> None:
    budget = ByteBudget(100, 100, 60)
    await budget.take("ann", 90)
    big = asyncio.create_task(budget.take("bob", 50))
    small = asyncio.create_task(budget.take("cid", 5))
    await settle()
    assert not big.done()
    assert not small.done()  # else big ones would wait for ever
    budget.give("ann", 50)
    await asyncio.gather(big, small)


@pytest.mark.threat("R17")
async def test_one_user_leaves_room_for_others() -> None:
    budget = ByteBudget(100, 50, 60)
    await budget.take("ann", 50)
    second = asyncio.create_task(budget.take("ann", 10))
    await budget.take("bob", 50)
    assert not second.done()
    budget.give("ann", 10)
    await second


async def test_wait_has_a_deadline() -> None:
    budget = ByteBudget(100, 100, 0.01)
    await budget.take("ann", 100)
    with pytest.raises(Overloaded):
        await budget.take("bob", 1)
    budget.give("ann", 100)
    await budget.take("bob", 100)


async def test_request_that_is_given_up_holds_nothing_back() -> None:
    budget = ByteBudget(100, 100, 60)
    await budget.take("ann", 50)
    big = asyncio.create_task(budget.take("bob", 100))
    small = asyncio.create_task(budget.take("cid", 50))
    await settle()
    big.cancel()
    await small


async def test_request_given_up_in_the_moment_of_its_turn_gives_back() -> None:
    budget = ByteBudget(100, 100, 60)
    await budget.take("ann", 100)
    waiting = asyncio.create_task(budget.take("bob", 100))
    await settle()
    budget.give("ann", 100)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await budget.take("cid", 100)


async def test_who_holds_nothing_takes_no_memory() -> None:
    budget = ByteBudget(100, 100, 60)
    for number in range(10):
        await budget.take(number, 10)
        budget.give(number, 6)
        budget.give(number, 4)
    assert not budget._held
