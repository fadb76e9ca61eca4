"""Design §7: the bound of the store in memory."""

from __future__ import annotations

from gateway.store.memory import MemoryBackend


async def test_the_account_not_used_for_longest_goes_first_and_whole() -> None:
    backend = MemoryBackend(max_bytes=300)
    await backend.write("first", {"a": bytes(50), "b": bytes(50)})
    await backend.write("second", {"a": bytes(100)})
    await backend.write("third", {"a": bytes(100)})
    await backend.read("first", ["a"])
    await backend.write("fourth", {"a": bytes(1)})
    assert await backend.size("second") == 0
    assert set(await backend.read("first", ["a", "b"])) == {"a", "b"}
    assert [await backend.size(owner) for owner in ("third", "fourth")] == [100, 1]


async def test_an_account_above_the_bound_is_not_kept() -> None:
    backend = MemoryBackend(max_bytes=300)
    await backend.write("small", {"a": bytes(10)})
    await backend.write("large", {"a": bytes(200), "b": bytes(101)})
    assert await backend.read("large", ["a", "b"]) == {}


async def test_room_is_found_again_by_replacing_deleting_and_dropping() -> None:
    backend = MemoryBackend(max_bytes=300)
    for _ in range(10):
        await backend.write("account", {"a": bytes(250)})
        await backend.write("account", {"a": bytes(200), "b": bytes(100)})
        await backend.write("account", {"b": None})
        assert await backend.size("account") == 200
        await backend.drop("account")
    await backend.write("one", {"a": bytes(150)})
    await backend.write("other", {"a": bytes(150)})
    assert [await backend.size(owner) for owner in ("one", "other")] == [150, 150]
