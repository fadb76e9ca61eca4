"""RFC 9661 §2: ids and names of scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sieve import block
from gateway.sieve.installation import NAME, Activate, Delete, Put, Stored
from gateway.sieve.vacation import Vacation
from gateway.store.opening import open_store
from gateway.sync import ids
from gateway.sync.errors import NotCommitted
from gateway.sync.script_ids import ScriptIds, assign
from gateway.sync.scripts import Rename, Scripts, after, free_name, is_made, renames

NAMES = st.sampled_from(["a", "b", "c", "d", "a-1"])
KEEP, STOP = b"keep;", b"stop;"


def plain(name: str) -> str:
    return ids.script_id(name, 0)


# --- ids ------------------------------------------------------------------------------------------


def test_an_id_is_made_of_the_name() -> None:
    found, kept = assign(["a", "größer"], {})
    assert found == {"a": plain("a"), "größer": plain("größer")}
    assert kept == {}
    assert all(ids.is_id(id_) and id_[0] == "S" for id_ in found.values())


def test_what_is_remembered_goes_with_the_script() -> None:
    renamed = {"b": plain("a")}
    assert assign(["b"], renamed) == (renamed, renamed)
    both = {"a": ids.script_id("a", 1), "b": plain("a")}
    assert assign(["a", "b"], renamed) == (both, both)
    # Once given, an id stays, whatever becomes of the other one.
    assert assign(["a"], both) == ({"a": both["a"]}, {"a": both["a"]})
    # Nothing is remembered of what is gone, nor of what needs no remembering.
    assert assign(["c"], both) == ({"c": plain("c")}, {})
    assert assign(["a"], {"a": plain("a")}) == ({"a": plain("a")}, {})


def test_the_new_name_has_an_id_that_two_are_remembered_with() -> None:
    found, _ = assign(["old", "new"], {"old": "Sx", "new": "Sx"})
    assert found == {"new": "Sx", "old": plain("old")}


@given(st.sets(NAMES), st.dictionaries(NAMES, NAMES.map(plain)))
def test_each_script_has_an_id_of_its_own(names: set[str], remembered: dict[str, str]) -> None:
    found, kept = assign(names, remembered)
    assert found.keys() == names
    assert len({*found.values()}) == len(names)
    assert assign(names, kept) == (found, kept)


async def test_ids_are_remembered_by_the_store(tmp_path: Path) -> None:
    store = open_store("memory://", b"x" * 32, tmp_path)
    ours, theirs = (ScriptIds(store.durable, "A1") for _ in range(2))
    assert await ours.of(["a", "c"]) == {"a": plain("a"), "c": plain("c")}
    await ours.rename(["b", "c"], {"b": plain("a")})
    assert await theirs.of(["b", "c"]) == {"b": plain("a"), "c": plain("c")}
    await theirs.rename(["b", "d"], {"d": plain("c")})
    assert await ours.of(["b", "d"]) == {"b": plain("a"), "d": plain("c")}
    assert await ScriptIds(store.durable, "A2").of(["b"]) == {"b": plain("b")}
    # What is gone is forgotten, so that another script of the name is another one.
    assert await ours.of(["d"]) == {"d": plain("c")}
    assert await ours.of(["b", "d"]) == {"b": plain("b"), "d": plain("c")}
    await store.durable.keep("A1", "sieve", {"ids": b"\xc1"}, 100.0)
    assert await ours.of(["d"]) == {"d": plain("d")}
    await store.close()


async def test_without_the_store_no_id_is_known(tmp_path: Path) -> None:
    store = open_store(f"sqlite://{tmp_path}/a.db", b"x" * 32, tmp_path)
    await store.close()
    with pytest.raises(NotCommitted):
        await ScriptIds(store.durable, "A1").of(["a"])


# --- changes --------------------------------------------------------------------------------------


@given(st.data())
def test_names_are_free_when_they_are_given(data: st.DataObject) -> None:
    names = data.draw(st.lists(NAMES, unique=True))
    movers = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    free = sorted({"a", "b", "c", "d", "a-1", "x", "y", "z"} - (set(names) - set(movers)))
    targets = data.draw(st.permutations(free))
    wanted = {n: t for n, t in zip(movers, targets, strict=False) if n != t}
    stored = tuple(Stored(name, False, name.encode()) for name in names)
    for step in renames(wanted, names):
        assert step.new not in {each.name for each in stored}
        assert step.name in {each.name for each in stored}
        stored = after(stored, step)
    assert {each.content.decode(): each.name for each in stored} == {
        name: wanted.get(name, name) for name in names
    }


def test_no_more_steps_than_needed() -> None:
    assert renames({"a": "b", "b": "c"}, "ab") == [Rename("b", "c"), Rename("a", "b")]
    assert len(renames({"a": "b", "b": "a"}, "ab")) == 3
    assert free_name("script-", ["script-1", "script-3"]) == "script-2"


def test_whether_a_change_was_made_can_be_seen() -> None:
    stored = (Stored("a", True, KEEP), Stored("b", False, STOP))
    for change in (
        Put("a", STOP),
        Put("c", KEEP),
        Activate("b"),
        Activate(""),
        Delete("b"),
        Rename("a", "c"),
    ):
        assert not is_made(stored, change)
        assert is_made(after(stored, change), change)
    assert after(stored, Put("a", STOP))[-1] == Stored("a", True, STOP)
    assert Stored("c", True, KEEP) in after(stored, Rename("a", "c"))


# --- what is shown --------------------------------------------------------------------------------


def scripts(*stored: Stored) -> Scripts:
    found, _ = assign([each.name for each in stored], {})
    return Scripts(stored, found)


def test_the_user_s_script_in_force_is_active() -> None:
    away = Vacation(is_enabled=True, text_body="Away.")
    main, ours = Stored("main", False, KEEP), Stored(NAME, True, block.write(away, "main"))
    shown = {s.name: s for s in scripts(main, ours).shown.values()}
    assert {name: s.is_active for name, s in shown.items()} == {"main": True, NAME: False}
    assert (shown["main"].is_vacation, shown[NAME].is_vacation) == (False, True)
    added_to = Stored("main", True, block.insert(KEEP, away))
    shown = {s.name: s for s in scripts(added_to, Stored(NAME, False, ours.content)).shown.values()}
    assert shown["main"].is_active
    assert shown["main"].content == KEEP
    alone = {
        s.name: s.is_active
        for s in scripts(Stored(NAME, True, block.write(away, None))).shown.values()
    }
    assert alone == {NAME: True}


def test_states_differ_where_clients_see_a_difference() -> None:
    main, other = Stored("main", True, KEEP), Stored("other", False, STOP)
    states = [
        scripts(*each).state
        for each in (
            (),
            (main,),
            (main, other),
            (Stored("main", False, KEEP), Stored("other", True, STOP)),
            (Stored("main", True, STOP), other),
            (Stored("main", True, KEEP), Stored("others", False, STOP)),
        )
    ]
    assert len({*states}) == len(states)
    assert scripts(main, other).state == scripts(other, main).state
