"""Gateways that look at their server each time, and come back to it at once."""

from __future__ import annotations

import pytest

from gateway.imap import pool
from gateway.sync import account, checker


@pytest.fixture(autouse=True)
def _look_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sync.trust.MAX_TRUST_SECONDS", 0.0)
    monkeypatch.setattr("gateway.sync.trust.VOUCHED_SECONDS", 0.0)
    monkeypatch.setattr(account, "INDEX_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(checker, "PLAIN_FLAGS_SECONDS", -1.0)


@pytest.fixture(autouse=True)
def _come_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_BACKOFF_FIRST", 0.01)
    monkeypatch.setattr(pool, "_BACKOFF_LAST", 0.05)
