"""RFC 8620 §8.5: guessing passwords through the gateway is slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from gateway.auth import limiter as limiter_module
from gateway.auth.errors import TooManyAttempts
from gateway.auth.limiter import FailureLimiter, address_block
from gateway.store.windows import Windows


@pytest.fixture
def set_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Give a function that sets the time the windows are measured in."""

    def set_time(now: float) -> None:
        monkeypatch.setattr(time, "time", lambda: now)

    return set_time


async def fail(limiter: FailureLimiter, address: str, username: str) -> None:
    async with limiter.attempt(address, username):
        await limiter.failed(address, username)


async def refused(limiter: FailureLimiter, address: str, username: str) -> bool:
    try:
        async with limiter.attempt(address, username):
            return False
    except TooManyAttempts:
        return True


@pytest.mark.threat("R14")
async def test_user_is_refused_from_that_block_only() -> None:
    limiter = FailureLimiter(Windows(None, b"s" * 32), per_minute=3, per_day=100)
    for host in range(3):
        await fail(limiter, f"192.0.2.{host}", "ann")
    assert await refused(limiter, "192.0.2.200", "ann")
    assert not await refused(limiter, "192.0.2.200", "bob")
    assert not await refused(limiter, "198.51.100.1", "ann")


async def test_block_is_refused_for_every_user() -> None:
    limiter = FailureLimiter(Windows(None, b"s" * 32), per_minute=3, per_day=100)
    for user in range(12):
        await fail(limiter, "2001:db8::1", f"user{user}")
    assert await refused(limiter, "2001:db8::ffff:1", "ann")
    assert not await refused(limiter, "2001:db8:0:1::1", "ann")


async def test_window_moves(set_time: Callable[[float], None]) -> None:
    limiter = FailureLimiter(Windows(None, b"s" * 32), per_minute=2, per_day=3)
    set_time(1000.0)
    await fail(limiter, "192.0.2.1", "ann")
    set_time(1040.0)
    await fail(limiter, "192.0.2.1", "ann")
    with pytest.raises(TooManyAttempts) as told:
        await fail(limiter, "192.0.2.1", "ann")
    assert told.value.retry_after == 20
    set_time(1060.5)
    await fail(limiter, "192.0.2.1", "ann")
    set_time(2000.0)
    with pytest.raises(TooManyAttempts) as told:
        await fail(limiter, "192.0.2.1", "ann")
    assert told.value.retry_after == 1000 + 86400 - 2000


@pytest.mark.threat("R14")
async def test_of_a_thousand_guesses_at_once_few_get_through() -> None:
    """Threat R14: at most 60 wrong logins of one /24 reach the mail server."""
    limiter = FailureLimiter(Windows(None, b"s" * 32), per_minute=10, per_day=50)
    reached = 0

    async def guess(number: int) -> None:
        nonlocal reached
        async with limiter.attempt(f"192.0.2.{number % 256}", f"user{number}"):
            reached += 1
            await asyncio.sleep(0)
            await limiter.failed(f"192.0.2.{number % 256}", f"user{number}")

    results = await asyncio.gather(*map(guess, range(1000)), return_exceptions=True)
    assert sum(isinstance(result, TooManyAttempts) for result in results) == 1000 - reached
    assert 40 <= reached <= 60
    assert not await refused(limiter, "198.51.100.1", "user1")


async def test_many_good_logins_from_one_address_all_get_their_turn() -> None:
    limiter = FailureLimiter(Windows(None, b"s" * 32), per_minute=10, per_day=50)
    entered = 0

    async def log_in(number: int) -> None:
        nonlocal entered
        async with limiter.attempt("192.0.2.1", f"user{number}"):
            entered += 1
            await asyncio.sleep(0)

    await asyncio.gather(*map(log_in, range(500)))
    assert entered == 500


async def test_attempt_whose_turn_does_not_come_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limiter_module, "_RUNNING_PER_BLOCK", 1)
    monkeypatch.setattr(limiter_module, "_WAITING_PER_BLOCK", 0)
    limiter = FailureLimiter(Windows(None, b"s" * 32), per_minute=10, per_day=50)
    async with limiter.attempt("192.0.2.1", "ann"):
        assert await refused(limiter, "192.0.2.2", "ann")
    assert not await refused(limiter, "192.0.2.2", "ann")


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8::7", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_address_block(address: str, block: str) -> None:
    assert address_block(address) == block
