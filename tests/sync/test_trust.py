"""RFC 8620 §1.6.2, §3.10: for how long a look at the server is as good as another."""

from __future__ import annotations

import time

import pytest

from gateway.sync.trust import Trust, one_request


@pytest.fixture(autouse=True)
def _trust_as_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sync.trust.MAX_TRUST_SECONDS", 1.0)
    monkeypatch.setattr("gateway.sync.trust.VOUCHED_SECONDS", 3.0)


def _looked(started: float, seconds: float) -> Trust:
    trust = Trust()
    trust.looked(started, seconds)
    return trust


async def test_a_look_is_trusted_for_a_multiple_of_what_it_took() -> None:
    trust = _looked(100.0, 0.01)
    assert trust.is_good(100.07, vouched=False)
    assert not trust.is_good(100.09, vouched=False)
    assert not _looked(100.0, 5.0).is_good(101.1, vouched=False)


async def test_who_hears_of_changes_is_trusted_longer_until_there_is_one() -> None:
    trust = _looked(100.0, 0.01)
    assert trust.is_good(102.9, vouched=True)
    assert not trust.is_good(103.1, vouched=True)
    trust.changed.set()
    assert not trust.is_good(100.01, vouched=True)


async def test_calls_of_one_request_share_a_look_for_a_second() -> None:
    earlier = _looked(time.monotonic(), 0.0)
    with one_request():
        now = time.monotonic()
        trust = _looked(now, 0.0)
        assert trust.is_good(now + 0.9, vouched=False)
        assert not trust.is_good(now + 1.1, vouched=False)
        assert not earlier.is_good(now, vouched=False)
        trust.changed.set()
        assert not trust.is_good(now + 0.1, vouched=False)
    trust.changed.clear()
    assert not trust.is_good(now + 0.9, vouched=False)
