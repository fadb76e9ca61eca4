"""RFC 8620 §5.3 rateLimit, §8.4: how much of something one user may have in a while.

What is sent and uploaded is counted by all nodes together. Requests are each node's own: what they
cost is its time.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import ceil

from limits import RateLimitItem

from gateway.obs.log import get_logger
from gateway.obs.metrics import OVER_BUDGET
from gateway.store.windows import Windows

log = get_logger(__name__)


class Kind(StrEnum):
    """What is counted."""

    MESSAGES = "messages"
    RECIPIENTS = "recipients"
    UPLOADS = "uploads"
    REQUESTS = "requests"


class OverBudget(Exception):
    """The user has had enough of it; there may be more in so many seconds, at least 1."""

    def __init__(self, kind: Kind, seconds: int) -> None:
        super().__init__(f"{kind}: {seconds} s")
        self.kind = kind
        self.seconds = seconds


class Budgets:
    """Keeps the accounts' budgets; of what is not in `limits` there is no end."""

    def __init__(self, windows: Windows, limits: Mapping[Kind, RateLimitItem]) -> None:
        self._windows = windows
        self._limits = limits

    async def spend(self, kind: Kind, account_id: str, count: int = 1) -> None:
        """Count so many for the user whose own account this is. Raises OverBudget."""
        limit = self._limits.get(kind)
        if limit is None:
            return
        if kind is Kind.REQUESTS:
            is_allowed = await self._windows.add_here(limit, kind, account_id)
        else:
            is_allowed = await self._windows.add(limit, kind, account_id, count=count)
        if not is_allowed:
            OVER_BUDGET.labels(kind).inc()
            log.warning("over_budget", kind=str(kind), account=account_id)
            raise OverBudget(kind, await self._seconds(kind, limit, account_id))

    async def _seconds(self, kind: Kind, limit: RateLimitItem, account_id: str) -> int:
        if kind is Kind.REQUESTS:
            return limit.get_expiry()
        left = await self._windows.left(limit, kind, account_id)
        return max(1, ceil(left.seconds))
