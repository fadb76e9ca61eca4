"""Design §7: what every backend does for durable values, in one suite for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from gateway.store import Store, StoreUnavailable
from gateway.store.base import Backend, Durable
from gateway.store.keys import owner
from gateway.store.memory import MemoryBackend
from gateway.store.sealed import SealedStore
from tests.store.values import ALICE, SECRET

LONG = 1000.0


@pytest.fixture
def durable(store: Store) -> Durable:
    return store.durable


async def test_gives_back_what_is_kept(durable: Durable) -> None:
    await durable.keep(ALICE, "upload/1", {"0": b"", "1": bytes(range(256))}, LONG)
    await durable.keep(ALICE, "upload/1", {"1": b"new", "2": b"more"}, LONG)
    assert await durable.load(ALICE, "upload/1", ["0", "1", "2", "3", "0"]) == {
        "0": b"",
        "1": b"new",
        "2": b"more",
    }
    assert await durable.load(ALICE, "upload/2", ["0"]) == {}


async def test_bundles_and_accounts_and_the_cache_are_apart(store: Store) -> None:
    durable = store.durable
    for account in (ALICE, "bob"):
        await store.save(account, {"0": b"rebuildable"})
        for bundle in ("a", "a/0", "b"):
            await durable.keep(account, bundle, {"0": f"{account} {bundle}".encode()}, LONG)
    await durable.drop(ALICE, ["a", "unknown"])
    await store.delete_account(ALICE)
    assert await durable.load(ALICE, "a", ["0"]) == {}
    assert await durable.load(ALICE, "a/0", ["0"]) == {"0": b"%s a/0" % ALICE.encode()}
    assert await durable.load("bob", "a", ["0"]) == {"0": b"bob a"}
    assert await store.load("bob", "0") == b"rebuildable"


async def test_deleting_an_account_leaves_nothing_durable_and_size_counts_it(store: Store) -> None:
    durable = store.durable
    await store.save(ALICE, {"index": b"columns"})
    assert await durable.size(ALICE) == 0
    await durable.keep(ALICE, "a", {"0": bytes(1000), "1": bytes(1000)}, LONG)
    await durable.keep(ALICE, "b", {"0": bytes(1000)}, LONG)
    await durable.keep("bob", "a", {"0": bytes(10)}, LONG)
    assert 3000 <= await durable.size(ALICE) < 3300
    await durable.delete_account(ALICE)
    assert await durable.size(ALICE) == 0
    assert await durable.load(ALICE, "b", ["0"]) == {}
    assert await durable.load("bob", "a", ["0"]) == {"0": bytes(10)}
    assert await store.load(ALICE, "index") == b"columns"


async def test_a_bundle_goes_as_a_whole_when_its_time_has_come(durable: Durable) -> None:
    """Redis counts in seconds, and its clock is its own."""
    await durable.keep(ALICE, "short", {"0": b"1"}, 1.0)
    await durable.keep(ALICE, "lasting", {"0": b"1"}, 1.0)
    await durable.keep(ALICE, "lasting", {"1": b"2"}, LONG)
    while await durable.load(ALICE, "short", ["0"]):
        await asyncio.sleep(0.05)
    await durable.sweep()
    assert await durable.load(ALICE, "lasting", ["0", "1"]) == {"0": b"1", "1": b"2"}
    size = await durable.size(ALICE)
    await durable.drop(ALICE, ["lasting"])
    assert await durable.size(ALICE) == 0 < size


async def test_nothing_is_written_beside_what_has_expired(durable: Durable) -> None:
    """Half an upload would be taken for a whole one."""
    await durable.keep(ALICE, "a", {"0": b"old", "1": b"old"}, 1.0)
    while await durable.load(ALICE, "a", ["0"]):
        await asyncio.sleep(0.05)
    assert not await durable.replace(ALICE, "a", "0", b"old", {"0": b"new"}, LONG)
    await durable.keep(ALICE, "a", {"1": b"new"}, LONG)
    assert await durable.load(ALICE, "a", ["0", "1"]) == {"1": b"new"}


async def test_of_those_who_expect_the_same_one_wins(connect: Callable[[], Backend]) -> None:
    stores = [SealedStore(connect(), SECRET).durable for _ in range(4)]
    held = None
    for step in range(10):
        entries = [{"list": b"%d.%d" % (step, n)} for n in range(4)]
        won = await asyncio.gather(
            *(
                store.replace(ALICE, "uploads", "list", held, own, LONG)
                for store, own in zip(stores, entries, strict=True)
            )
        )
        assert won.count(True) == 1
        held = entries[won.index(True)]["list"]
        assert await stores[0].load(ALICE, "uploads", ["list"]) == {"list": held}


async def test_a_call_made_again_succeeds_until_somebody_else_has_written(durable: Durable) -> None:
    for _ in range(2):
        assert await durable.replace(ALICE, "a", "0", None, {"0": b"1", "1": b"2"}, LONG)
    assert not await durable.replace(ALICE, "a", "0", None, {"0": b"1", "1": b"3"}, LONG)


@pytest.mark.parametrize("name", ["", "a b", "*", "é", "x" * 201])
async def test_names_out_of_form_are_refused(durable: Durable, name: str) -> None:
    for call in (
        durable.load(ALICE, name, ["0"]),
        durable.load(ALICE, "a", [name]),
        durable.keep(ALICE, name, {"0": b""}, LONG),
        durable.keep(ALICE, "a", {name: b""}, LONG),
        durable.replace(ALICE, name, "0", None, {"0": b""}, LONG),
        durable.drop(ALICE, ["a", name]),
    ):
        with pytest.raises(ValueError, match="not a store key"):
            await call


async def test_what_is_not_as_it_was_kept_is_a_miss(durable: Durable, backend: Backend) -> None:
    """R11: a value can not be passed off as one of another bundle, or as a rebuildable one."""
    await durable.keep(ALICE, "a", {"0": b"mine"}, LONG)
    name = owner(SECRET, ALICE)
    sealed = await backend.durable.read(name, "a", ["0"])
    await backend.durable.write(name, "b", sealed, LONG)
    await backend.write(name, {**sealed})
    with capture_logs() as logs:
        assert await durable.load(ALICE, "b", ["0"]) == {}
        assert await SealedStore(backend, SECRET).load(ALICE, "0") is None
        assert await durable.replace(ALICE, "b", "0", None, {"0": b"new"}, LONG)
    assert {line["event"] for line in logs} == {"stored value ignored"}
    assert await durable.load(ALICE, "b", ["0"]) == {"0": b"new"}


async def test_a_value_of_megabytes_comes_back_whole(durable: Durable) -> None:
    value = bytes(range(256)) * 8192
    await durable.keep(ALICE, "big", {"0": value}, LONG)
    assert await durable.load(ALICE, "big", ["0"]) == {"0": value}


async def test_in_memory_nothing_makes_room_but_time() -> None:
    backend = MemoryBackend(max_bytes=1000)
    await backend.durable.write("owner", "a", {"0": bytes(600)}, LONG)
    await backend.write("other", {"index": bytes(900)})
    with pytest.raises(StoreUnavailable, match="full"):
        await backend.durable.write("other", "b", {"0": bytes(401)}, LONG)
    await backend.durable.write("other", "b", {"0": bytes(400)}, -1.0)
    await backend.durable.write("other", "c", {"0": bytes(400)}, LONG)
    assert await backend.durable.size("owner") == 600
    await backend.durable.write("owner", "a", {"0": bytes(10)}, LONG)
    await backend.durable.drop("other", ["c"])
    await backend.durable.write("owner", "d", {"0": bytes(990)}, LONG)


def test_what_is_hidden_is_seen_by_the_same_account_alone(durable: Durable) -> None:
    hidden = durable.hide(ALICE, b"a password")
    assert b"password" not in hidden
    assert hidden != durable.hide(ALICE, b"a password")
    assert durable.reveal(ALICE, hidden) == b"a password"
    assert durable.reveal("bob", hidden) is None


def test_what_is_hidden_is_not_seen_with_another_secret(durable: Durable) -> None:
    hidden = durable.hide(ALICE, b"a password")
    other = SealedStore(MemoryBackend(), b"x" * 32).durable
    assert other.reveal(ALICE, hidden) is None
    for end in (0, 5, 12, len(hidden) - 1):
        assert durable.reveal(ALICE, hidden[:end]) is None
