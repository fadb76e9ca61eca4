"""Design §7: what every backend of the store does, in one suite for all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from gateway.store import Store
from gateway.store.base import Backend
from gateway.store.keys import owner
from gateway.store.sealed import SealedStore
from tests.store.values import ALICE, CORRUPT, SECRET

# R11: names that some part of a system takes for the same, or cuts short.
LOOKALIKES = (
    "A@x",
    "a@x",
    "a@x\0b",
    "a@x\0",
    "a@x ",
    "jos\u00e9@x",  # NFC
    "jose\u0301@x",  # NFD
    "\u212bngstrom@x",
    "\u00c5ngstrom@x",
    "a@x}",
    "{a@x",
    "a@x:index",
    "",
    "\udc80@x",
)


async def test_gives_back_what_was_saved(store: Store) -> None:
    await store.save(ALICE, {"index": b"columns", "log/1": b"", "log/2": bytes(range(256))})
    assert await store.load(ALICE, "index") == b"columns"
    assert await store.load_many(ALICE, ["log/1", "log/2", "log/3"]) == {
        "log/1": b"",
        "log/2": bytes(range(256)),
    }


async def test_what_was_never_saved_is_a_miss(store: Store) -> None:
    assert await store.load(ALICE, "index") is None
    assert await store.load_many(ALICE, ["a", "b"]) == {}
    assert await store.load_many(ALICE, []) == {}
    assert await store.size(ALICE) == 0


async def test_the_same_key_may_be_asked_twice(store: Store) -> None:
    await store.save(ALICE, {"a": b"1"})
    assert await store.load_many(ALICE, ["a", "a"]) == {"a": b"1"}


async def test_one_save_replaces_adds_and_deletes(store: Store) -> None:
    await store.save(ALICE, {"replaced": b"old", "deleted": b"old", "left": b"alone"})
    await store.save(ALICE, {"replaced": b"new", "deleted": None, "added": b"new", "absent": None})
    assert await store.load_many(ALICE, ["replaced", "deleted", "left", "added", "absent"]) == {
        "replaced": b"new",
        "left": b"alone",
        "added": b"new",
    }


async def test_saving_nothing_or_deleting_the_last_leaves_nothing(store: Store) -> None:
    await store.save(ALICE, {})
    await store.save(ALICE, {"a": b"1"})
    await store.save(ALICE, {"a": None})
    assert await store.load(ALICE, "a") is None
    assert await store.size(ALICE) == 0


@pytest.mark.parametrize("key", ["", " ", "a b", "a\0", "é", "a\n", "*", "{a}", "x" * 201])
async def test_a_key_out_of_form_is_refused_before_anything_is_written(
    store: Store, key: str
) -> None:
    with pytest.raises(ValueError, match="not a store key"):
        await store.save(ALICE, {"a": b"1", key: b"2"})
    with pytest.raises(ValueError, match="not a store key"):
        await store.load_many(ALICE, ["a", key])
    assert await store.load(ALICE, "a") is None


async def test_a_value_of_megabytes_comes_back_whole(store: Store) -> None:
    value = bytes(range(256)) * 32_768  # 8 MiB
    await store.save(ALICE, {"big": value})
    assert await store.load(ALICE, "big") == value


async def test_a_thousand_keys_are_read_at_once(store: Store) -> None:
    values = {f"chunk/{number}": str(number).encode() for number in range(1_500)}
    await store.save(ALICE, values)
    assert await store.load_many(ALICE, list(values)) == values


async def test_size_counts_the_octets_of_one_account(store: Store) -> None:
    await store.save(ALICE, {"a": bytes(1_000), "b": bytes(2_000)})
    await store.save("bob", {"a": bytes(50_000)})
    assert 3_000 <= await store.size(ALICE) < 3_300
    await store.save(ALICE, {"b": None})
    assert 1_000 <= await store.size(ALICE) < 1_150


async def test_lookalike_accounts_never_share_anything(store: Store) -> None:
    """R11."""
    for number, account in enumerate(LOOKALIKES):
        await store.save(account, {"index": str(number).encode()})
    for number, account in enumerate(LOOKALIKES):
        assert await store.load(account, "index") == str(number).encode()
    await store.delete_account("a@x")
    for account in LOOKALIKES:
        assert (await store.load(account, "index") is None) == (account == "a@x")


async def test_deleting_an_account_leaves_nothing_of_it(store: Store) -> None:
    await store.save(ALICE, {"a": b"1", "b": b"2"})
    await store.delete_account(ALICE)
    await store.delete_account("nobody")
    assert await store.load_many(ALICE, ["a", "b"]) == {}
    assert await store.size(ALICE) == 0


@pytest.mark.parametrize("octets", CORRUPT.values(), ids=CORRUPT)
async def test_what_is_not_as_it_was_saved_is_a_miss(
    store: Store, backend: Backend, octets: bytes
) -> None:
    """R11: and it is logged, and the values beside it are still good."""
    await store.save(ALICE, {"a": b"columns", "b": b"good"})
    await backend.write(owner(SECRET, ALICE), {"a": octets})
    with capture_logs() as logs:
        assert await store.load_many(ALICE, ["a", "b"]) == {"b": b"good"}
    assert [(line["event"], line["key"]) for line in logs] == [("stored value ignored", "a")]
    assert ALICE not in str(logs)
    await store.save(ALICE, {"a": b"again"})
    assert await store.load(ALICE, "a") == b"again"


async def test_readers_see_a_save_whole_or_not_at_all(connect: Callable[[], Backend]) -> None:
    writer, reader = SealedStore(connect(), SECRET), SealedStore(connect(), SECRET)
    keys = [f"part/{number}" for number in range(20)]
    done = asyncio.Event()
    seen: list[set[bytes]] = []

    async def read() -> None:
        while not done.is_set():
            values = await reader.load_many(ALICE, keys)
            seen.append(set(values.values()))
            assert len(values) in (0, len(keys))
            await asyncio.sleep(0)

    reading = asyncio.create_task(read())
    for step in range(40):
        await writer.save(ALICE, {key: str(step).encode() * 500 for key in keys})
    done.set()
    await reading
    assert all(len(values) <= 1 for values in seen)


async def test_concurrent_savers_lose_nothing(connect: Callable[[], Backend]) -> None:
    stores = [SealedStore(connect(), SECRET) for _ in range(3)]
    await asyncio.gather(
        *(
            store.save(account, {f"{number}/{step}": b"own", "shared": f"{number}".encode()})
            for account in (ALICE, "bob")
            for number, store in enumerate(stores)
            for step in range(10)
        )
    )
    for account in (ALICE, "bob"):
        keys = [f"{number}/{step}" for number in range(3) for step in range(10)]
        assert await stores[0].load_many(account, keys) == dict.fromkeys(keys, b"own")
        assert await stores[1].load(account, "shared") in (b"0", b"1", b"2")


async def test_another_connection_sees_what_was_saved(connect: Callable[[], Backend]) -> None:
    first, second = SealedStore(connect(), SECRET), SealedStore(connect(), SECRET)
    assert await second.load(ALICE, "a") is None
    await first.save(ALICE, {"a": b"1"})
    assert await second.load(ALICE, "a") == b"1"


async def test_a_cancelled_save_is_whole_or_absent_and_harms_nothing_after_it(
    store: Store,
) -> None:
    values = {f"part/{number}": bytes(100_000) for number in range(10)}
    saving = asyncio.create_task(store.save(ALICE, dict(values)))
    await asyncio.sleep(0)
    saving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await saving
    assert len(await store.load_many(ALICE, list(values))) in (0, len(values))
    await store.save(ALICE, {"part/0": b"new"})
    assert await store.load(ALICE, "part/0") == b"new"


async def test_ping_answers_and_close_may_come_twice(store: Store) -> None:
    await store.ping()
    await store.close()
    await store.close()
