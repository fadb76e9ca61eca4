"""Design §6, §7: writing on condition, by which two nodes on one account never fork its log."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

import pytest
from structlog.testing import capture_logs

from gateway.store import Store
from gateway.store.base import Backend
from gateway.store.keys import owner
from gateway.store.memory import MemoryBackend
from gateway.store.sealed import SealedStore
from tests.store.values import ALICE, CORRUPT, SECRET


async def test_it_writes_when_the_value_is_the_expected_one(store: Store) -> None:
    assert await store.replace(ALICE, "head", None, {"head": b"1", "log/1": b"first"})
    assert await store.replace(ALICE, "head", b"1", {"head": b"2", "log/2": b"", "log/1": None})
    assert await store.load_many(ALICE, ["head", "log/1", "log/2"]) == {"head": b"2", "log/2": b""}


@pytest.mark.parametrize(
    ("there", "expected"),
    [(None, b"1"), (None, b""), (b"", None), (b"1", None), (b"1", b""), (b"1", b"10")],
)
async def test_it_writes_nothing_when_the_value_is_another_one(
    store: Store, there: bytes | None, expected: bytes | None
) -> None:
    await store.save(ALICE, {"head": there, "log/1": b"old"})
    before = await store.load_many(ALICE, ["head", "log/1", "log/2"])
    entries = {"head": b"2", "log/1": None, "log/2": b"new"}
    assert not await store.replace(ALICE, "head", expected, entries)
    assert await store.load_many(ALICE, ["head", "log/1", "log/2"]) == before


async def test_accounts_and_keys_do_not_stand_for_each_other(store: Store) -> None:
    await store.save(ALICE, {"other": b"1"})
    await store.save("bob", {"head": b"1"})
    assert not await store.replace(ALICE, "head", b"1", {"head": b"2"})
    assert await store.replace(ALICE, "head", None, {"head": b"3"})
    assert await store.load("bob", "head") == b"1"


async def test_the_value_compared_may_stay_or_go(store: Store) -> None:
    await store.save(ALICE, {"head": b"1"})
    assert await store.replace(ALICE, "head", b"1", {"index": b"columns"})
    assert await store.load_many(ALICE, ["head", "index"]) == {"head": b"1", "index": b"columns"}
    assert not await store.replace(ALICE, "head", b"0", {"index": b"columns"})
    assert await store.replace(ALICE, "head", b"1", {"head": None, "index": None})
    assert await store.size(ALICE) == 0
    assert await store.replace(ALICE, "head", None, {"index": b"new"})
    assert await store.load_many(ALICE, ["head", "index"]) == {"index": b"new"}


async def test_a_call_made_again_succeeds_until_somebody_else_has_written(store: Store) -> None:
    """F5: the first may have ended in StoreUnavailable after it was applied."""
    await store.save(ALICE, {"head": b"1", "log/1": b"old"})
    entries = {"head": b"2", "log/1": None, "log/2": b"mine"}
    assert await store.replace(ALICE, "head", b"1", entries)
    assert await store.replace(ALICE, "head", b"1", entries)
    assert not await store.replace(ALICE, "head", b"1", {**entries, "log/2": b"another's"})
    assert not await store.replace(ALICE, "head", b"1", {**entries, "log/2": None})
    assert not await store.replace(ALICE, "head", b"1", {**entries, "log/3": b"more"})
    assert await store.load_many(ALICE, ["head", "log/1", "log/2", "log/3"]) == {
        "head": b"2",
        "log/2": b"mine",
    }
    assert await store.replace(ALICE, "head", b"2", {"head": b"3"})
    assert not await store.replace(ALICE, "head", b"1", entries)
    assert await store.load(ALICE, "head") == b"3"


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 201])
async def test_a_key_out_of_form_is_refused_before_anything_is_written(
    store: Store, key: str
) -> None:
    with pytest.raises(ValueError, match="not a store key"):
        await store.replace(ALICE, key, None, {"a": b"1"})
    with pytest.raises(ValueError, match="not a store key"):
        await store.replace(ALICE, "a", None, {"a": b"1", key: b"2"})
    assert await store.load(ALICE, "a") is None


@pytest.mark.parametrize("octets", CORRUPT.values(), ids=CORRUPT)
async def test_what_can_not_be_trusted_counts_as_absent(
    store: Store, backend: Backend, octets: bytes
) -> None:
    """R11: and never as what it says it is."""
    await backend.write(owner(SECRET, ALICE), {"a": octets})
    assert not await store.replace(ALICE, "a", b"columns", {"a": b"new"})
    with capture_logs() as logs:
        assert await store.replace(ALICE, "a", None, {"a": b"new", "b": b"1"})
    assert [(line["event"], line["key"]) for line in logs] == [("stored value ignored", "a")]
    assert await store.load_many(ALICE, ["a", "b"]) == {"a": b"new", "b": b"1"}


class Overtaken(MemoryBackend):
    """A backend in which others write right after it has been read, once."""

    def __init__(self, *overtaking: Mapping[str, bytes | None]) -> None:
        super().__init__()
        self._overtaking = list(overtaking)

    async def read(self, owner: str, keys: Sequence[str]) -> dict[str, bytes]:
        found = await super().read(owner, keys)
        if self._overtaking:
            await self.write(owner, self._overtaking.pop(0))
        return found


async def test_what_can_not_be_trusted_is_replaced_only_while_it_is_there() -> None:
    good = SealedStore(reference := MemoryBackend(), SECRET)
    await good.save(ALICE, {"a": b"another's"})
    sealed = await reference.read(owner(SECRET, ALICE), ["a"])
    backend = Overtaken({"a": b"more damage"}, {"a": None}, {"a": b"damage again"}, sealed)
    await backend.write(owner(SECRET, ALICE), {"a": b"damage"})
    store = SealedStore(backend, SECRET)
    assert not await store.replace(ALICE, "a", None, {"a": b"mine"})
    assert await store.load(ALICE, "a") == b"another's"


async def test_thousands_of_entries_are_written_and_compared_at_once(store: Store) -> None:
    values: dict[str, bytes | None] = {f"log/{n}": str(n).encode() for n in range(12_000)}
    assert await store.replace(ALICE, "head", None, {"head": b"1", **values})
    assert await store.replace(ALICE, "head", None, {"head": b"1", **values})
    assert await store.load_many(ALICE, list(values)) == values
    gone = dict.fromkeys(values)
    assert await store.replace(ALICE, "head", b"1", {"head": b"2", **gone})
    assert await store.replace(ALICE, "head", b"1", {"head": b"2", **gone})
    assert await store.load_many(ALICE, list(values)) == {}


async def test_a_value_of_megabytes_is_replaced_whole(store: Store) -> None:
    value = bytes(range(256)) * 32_768  # 8 MiB
    assert await store.replace(ALICE, "index", None, {"index": value})
    assert await store.replace(ALICE, "index", value, {"index": value[1:]})
    assert await store.load(ALICE, "index") == value[1:]


async def test_of_those_who_expect_the_same_exactly_one_wins_each_round(
    connect: Callable[[], Backend],
) -> None:
    stores = [SealedStore(connect(), SECRET) for _ in range(4)]
    head = None
    for number in range(30):
        entries = [{"head": b"%d.%d" % (number, n), f"log/{number}": b"%d" % n} for n in range(4)]
        won = await asyncio.gather(
            *(
                store.replace(ALICE, "head", head, own)
                for store, own in zip(stores, entries, strict=True)
            )
        )
        assert won.count(True) == 1
        winner = entries[won.index(True)]
        assert await stores[0].load_many(ALICE, list(winner)) == winner
        head = winner["head"]


async def test_readers_never_see_a_head_without_its_record(connect: Callable[[], Backend]) -> None:
    writer, reader = SealedStore(connect(), SECRET), SealedStore(connect(), SECRET)
    await writer.save(ALICE, {"head": b"0", "last": b"0"})
    seen: set[bytes] = set()

    async def read() -> None:
        while len(seen) < 20:
            found = await reader.load_many(ALICE, ["head", "last"])
            assert found["head"] == found["last"]
            seen.add(found["head"])
            await asyncio.sleep(0)

    reading = asyncio.create_task(read())
    number = 0
    while not reading.done():
        old, new = b"%d" % number, b"%d" % (number + 1)
        assert await writer.replace(ALICE, "head", old, {"head": new, "last": new})
        number += 1
        await asyncio.sleep(0)
    await reading


async def test_a_cancelled_call_is_whole_or_absent_and_may_be_made_again(store: Store) -> None:
    await store.save(ALICE, {"head": b"1"})
    entries = {"head": b"2", **{f"part/{number}": bytes(100_000) for number in range(10)}}
    replacing = asyncio.create_task(store.replace(ALICE, "head", b"1", entries))
    await asyncio.sleep(0)
    replacing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await replacing
    assert len(await store.load_many(ALICE, list(entries))) in (1, len(entries))
    assert await store.replace(ALICE, "head", b"1", entries)
    assert await store.load_many(ALICE, list(entries)) == entries
