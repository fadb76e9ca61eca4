"""RFC 8620 §5.3 rateLimit: users have so much of something, each for themselves."""

from __future__ import annotations

import pytest
from limits import RateLimitItemPerHour, RateLimitItemPerMinute

from gateway.obs.metrics import OVER_BUDGET
from gateway.store.windows import Windows
from gateway.sync.budgets import Budgets, Kind, OverBudget


def budgets() -> Budgets:
    limits = {Kind.RECIPIENTS: RateLimitItemPerHour(5), Kind.REQUESTS: RateLimitItemPerMinute(2)}
    return Budgets(Windows(None, b"s" * 32), limits)


async def test_what_is_spent_is_gone_for_that_user_only() -> None:
    kept = budgets()
    refused = OVER_BUDGET.labels("recipients")._value.get()
    await kept.spend(Kind.RECIPIENTS, "ann", 3)
    with pytest.raises(OverBudget) as caught:
        await kept.spend(Kind.RECIPIENTS, "ann", 3)
    assert caught.value.kind is Kind.RECIPIENTS
    assert 3000 < caught.value.seconds <= 3600
    assert OVER_BUDGET.labels("recipients")._value.get() == refused + 1
    await kept.spend(Kind.RECIPIENTS, "ann", 2)  # what was refused was not counted
    await kept.spend(Kind.RECIPIENTS, "bob", 5)


async def test_requests_are_counted_by_themselves() -> None:
    kept = budgets()
    for _ in range(2):
        await kept.spend(Kind.REQUESTS, "ann")
    with pytest.raises(OverBudget) as caught:
        await kept.spend(Kind.REQUESTS, "ann")
    assert 0 < caught.value.seconds <= 60
    await kept.spend(Kind.REQUESTS, "bob")


async def test_of_what_has_no_budget_there_is_no_end() -> None:
    kept = budgets()
    for _ in range(100):
        await kept.spend(Kind.UPLOADS, "ann")
