"""RFC 8621 §4.6-4.8: letters that clients add are known as such, on every node."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store.base import Durable
from gateway.store.opening import open_store
from gateway.sync.added import Added, likeness

HEADER = b"Subject: one\r\nMessage-ID: <one@example.test>\r\n\r\n"
DAY = 24 * 3600.0


@pytest.fixture
async def durable(tmp_path: Path) -> AsyncIterator[Durable]:
    """Give the durable part of a store."""
    store = open_store("memory://", b"x" * 32, tmp_path)
    yield store.durable
    await store.close()


async def test_what_was_noted_is_known_in_its_account(durable: Durable) -> None:
    letter, other = likeness(100, HEADER), likeness(101, HEADER)
    await Added(durable, "A1").note([letter])
    asked = {"this": letter, "other": other, "nameless": likeness(100, b"Subject: one\r\n\r\n")}
    assert await Added(durable, "A1").among(asked) == {"this"}
    assert await Added(durable, "A2").among(asked) == set()


async def test_it_is_known_through_the_next_day(
    durable: Durable, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter, midnight = likeness(100, HEADER), 20_000 * DAY
    for seconds, is_known in ((-1.0, True), (0.0, True), (DAY - 1, True), (DAY, False)):
        monkeypatch.setattr(time, "time", lambda: midnight - 1)
        await Added(durable, "A1").note([letter])
        monkeypatch.setattr(time, "time", lambda at=midnight + seconds: at)
        assert bool(await Added(durable, "A1").among({"this": letter})) is is_known


@pytest.mark.parametrize(
    "field", [b"<one@example.test>", b"(a comment) <one@example.test>", b"\r\n <one@example.test>"]
)
def test_a_letter_is_told_by_its_size_and_message_id(field: bytes) -> None:
    assert likeness(100, b"Message-ID: %b\r\n\r\n" % field) == (100, b"one@example.test")
