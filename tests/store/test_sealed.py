"""Design §7: how the Store that callers see frames and checks values."""

from __future__ import annotations

import threading

import pytest

from gateway.store import envelope
from gateway.store.memory import MemoryBackend
from gateway.store.sealed import LARGE_OCTETS, SealedStore
from tests.store.values import ALICE, SECRET


@pytest.mark.parametrize(("octets", "beside"), [(100, False), (LARGE_OCTETS + 1, True)])
async def test_large_values_are_framed_and_checked_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, octets: int, beside: bool
) -> None:
    threads = []

    def seal(secret: bytes, account: str, key: str, payload: bytes) -> bytes:
        threads.append(threading.get_ident())
        return envelope.seal(secret, account, key, payload)

    def unseal(secret: bytes, account: str, key: str, octets: bytes) -> bytes:
        threads.append(threading.get_ident())
        return envelope.unseal(secret, account, key, octets)

    monkeypatch.setattr("gateway.store.sealed.seal", seal)
    monkeypatch.setattr("gateway.store.sealed.unseal", unseal)
    store = SealedStore(MemoryBackend(), SECRET)
    value = bytes(octets)
    await store.save(ALICE, {"a": value})
    assert await store.load(ALICE, "a") == value
    assert await store.replace(ALICE, "a", value, {"a": value})
    assert len(threads) == 4
    assert {thread != threading.get_ident() for thread in threads} == {beside}
