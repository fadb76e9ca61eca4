"""RFC 8620 §7.3, §8.5: channels end when they are told to, and are few."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from gateway.push.channels import Channel, Channels, Ended

NEVER = float("inf")


def now() -> float:
    return asyncio.get_running_loop().time()


async def wait(channel: Channel, until: float = NEVER) -> None:
    async with channel.until(until):
        await asyncio.Event().wait()


async def waiting(channel: Channel, until: float = NEVER) -> asyncio.Task[None]:
    task = asyncio.create_task(wait(channel, until))
    await asyncio.sleep(0)
    return task


async def test_deadline() -> None:
    with pytest.raises(TimeoutError):
        await wait(Channel(), now())
    await Channel().pause(now())


async def test_what_is_there_in_time_is_given() -> None:
    channel = Channel()
    async with channel.until(NEVER):
        await asyncio.sleep(0)
    with pytest.raises(ZeroDivisionError):
        async with channel.until(NEVER):
            _ = 1 // 0


@pytest.mark.parametrize("displaced", [True, False])
async def test_end_interrupts_what_is_waited_for(displaced: bool) -> None:
    channel = Channel()
    task = await waiting(channel)
    channel.end(displaced=displaced)
    with pytest.raises(Ended) as error:
        await task
    assert error.value.displaced is displaced


async def test_end_holds_for_all_that_comes() -> None:
    channel = Channel()
    channel.end(displaced=True)
    channel.end()
    for _ in range(2):
        with pytest.raises(Ended) as error:
            await wait(channel)
        assert error.value.displaced
    with pytest.raises(Ended):
        await channel.pause(NEVER)


async def test_end_at_the_moment_of_the_deadline() -> None:
    channel = Channel()
    task = await waiting(channel, now())
    await asyncio.sleep(0)
    channel.end()
    with pytest.raises(Ended):
        await task


async def test_client_that_goes_away_is_no_deadline() -> None:
    task = await waiting(Channel())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_oldest_of_a_user_makes_room() -> None:
    channels = Channels(2)
    with ExitStack() as stack:
        first, second, other, third = (
            stack.enter_context(channels.open(user)) for user in ("ann", "ann", "bob", "ann")
        )
        with pytest.raises(Ended) as error:
            await wait(first)
        assert error.value.displaced
        for channel in (second, other, third):
            with pytest.raises(TimeoutError):
                await wait(channel, now())


async def test_closed_channel_makes_room() -> None:
    channels = Channels(1)
    with channels.open("ann"):
        pass
    with channels.open("ann") as channel, pytest.raises(TimeoutError):
        await wait(channel, now())


async def test_all_end_with_the_service() -> None:
    channels = Channels(1)
    with channels.open("ann") as ann, channels.open("bob") as bob:
        tasks = [await waiting(ann), await waiting(bob)]
        channels.close()
        with channels.open("eve") as eve:
            tasks.append(await waiting(eve))
        for task in tasks:
            with pytest.raises(Ended) as error:
                await task
            assert not error.value.displaced
