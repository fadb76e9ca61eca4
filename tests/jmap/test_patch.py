"""RFC 8620 §5.3: PatchObject."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.jmap import patch
from gateway.jmap.errors import SetError


def patched(
    object: dict[str, Any], members: dict[str, Any], defaults: dict[str, Any] | None = None
) -> dict[str, Any]:
    before = deepcopy(object)
    result = patch.apply(patch.parse(members), object, defaults or {})
    assert object == before
    return result


@pytest.mark.checklist("F08")
@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, {"a": {"b": {"c": 1}}, "n": 1, "l": [1], "z": None}),
        ({"n": 2}, {"a": {"b": {"c": 1}}, "n": 2, "l": [1], "z": None}),
        ({"n": None}, {"a": {"b": {"c": 1}}, "n": 9, "l": [1], "z": None}),
        ({"a": None}, {"n": 1, "l": [1], "z": None}),
        ({"a/b": None}, {"a": {}, "n": 1, "l": [1], "z": None}),
        ({"a/x": None, "none": None}, {"a": {"b": {"c": 1}}, "n": 1, "l": [1], "z": None}),
        ({"a/b/c": 2, "a/d": {}}, {"a": {"b": {"c": 2}, "d": {}}, "n": 1, "l": [1], "z": None}),
        ({"a/b~1~0c": 3}, {"a": {"b": {"c": 1}, "b/~c": 3}, "n": 1, "l": [1], "z": None}),
        ({"l": [2]}, {"a": {"b": {"c": 1}}, "n": 1, "l": [2], "z": None}),
        ({"a/": 5}, {"a": {"b": {"c": 1}, "": 5}, "n": 1, "l": [1], "z": None}),
        ({"a": {"b": 0}}, {"a": {"b": 0}, "n": 1, "l": [1], "z": None}),
    ],
)
def test_values_are_set_and_null_sets_the_default_or_removes(
    members: dict[str, Any], expected: dict[str, Any]
) -> None:
    object = {"a": {"b": {"c": 1}}, "n": 1, "l": [1], "z": None}
    assert patched(object, members, {"n": 9}) == expected


@pytest.mark.checklist("F07")
@pytest.mark.parametrize(
    "members",
    [
        {"l/0": 1},
        {"l/-": 1},
        {"l/0/x": 1},
        {"x/y": 1},
        {"x/y": None},
        {"a/x/y": 1},
        {"n/x": 1},
        {"z/x": 1},
        {"a/b/c/d": 1},
        {"a": {}, "a/b": 1},
        {"a/b": {}, "a/b/c": 1},
        {"a": None, "ab": 1, "a!": 1, "a/b/c": 1},
        {"a~": 1},
        {"a~2b": 1},
    ],
)
def test_path_into_an_array_or_past_what_is_there_or_inside_another_is_invalid(
    members: dict[str, Any],
) -> None:
    with pytest.raises(SetError) as caught:
        patched({"a": {"b": {"c": 1}}, "n": 1, "l": [{}], "z": None, "ab": 1, "a!": 1}, members)
    assert caught.value.type == "invalidPatch"


def test_path_in_the_description_is_not_long() -> None:
    """RFC 8620 §5.3: the description is to help with debugging, not to repeat what was sent."""
    with pytest.raises(SetError) as caught:
        patched({}, {"x" * 1000 + "/y": 1})
    assert len(str(caught.value)) < 200


def test_defaults_are_not_shared_between_objects() -> None:
    """RFC 8620 §5.3: null sets the default value, of each object its own."""
    defaults: dict[str, Any] = {"a": {}}
    result = patched({"a": {"b": 1}}, {"a": None}, defaults)
    result["a"]["c"] = 1
    assert defaults == {"a": {}}


names = st.text(alphabet="ab/~", max_size=2)
values = st.recursive(
    st.booleans() | st.integers(0, 3) | st.lists(st.integers(0, 2), max_size=2),
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(names, values, max_size=3)


def escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def difference(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A patch from one object to another that goes inside wherever it can."""
    members: dict[str, Any] = {}
    for name in old.keys() | new.keys():
        path = prefix + escaped(name)
        if name not in new:
            members[path] = None
        elif name not in old:
            members[path] = new[name]
        elif isinstance(old[name], dict) and isinstance(new[name], dict):
            members |= difference(old[name], new[name], f"{path}/")
        elif old[name] != new[name]:
            members[path] = new[name]
    return members


@pytest.mark.checklist("F08")
@given(objects, objects)
def test_a_patch_of_the_differences_leads_from_any_object_to_any_other(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert patched(old, difference(old, new)) == new


@given(objects, objects)
def test_a_whole_object_is_a_patch(old: dict[str, Any], new: dict[str, Any]) -> None:
    """RFC 8620 §5.3: what the new object does not have stays."""
    assert patched(old, {escaped(name): value for name, value in new.items()}) == old | new


@pytest.mark.checklist("F07")
@given(objects, st.dictionaries(st.text(alphabet="ab/", max_size=4), st.none() | values))
def test_patch_that_is_valid_is_applied_as_a_whole(
    object: dict[str, Any], members: dict[str, Any]
) -> None:
    result = None
    with suppress(SetError):
        result = patched(object, members)
    assume(result is not None)
    for path, value in members.items():
        here: Any = result
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
        for part in parents:
            here = here[part]
        assert here.get(last) == value
