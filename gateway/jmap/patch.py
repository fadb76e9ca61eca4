"""RFC 8620 §5.3: PatchObject, the changes to an object that an update asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from itertools import pairwise
from typing import Any

from gateway.jmap.errors import SetError
from gateway.jmap.pointer import NotAPointer, pointer

# By path: the name of a property and what leads further inside its value, if anything does.
Path = tuple[str, ...]
Patch = dict[Path, Any]


def parse(members: Mapping[str, Any]) -> Patch:
    """The patch that a PatchObject is. Raises SetError invalidPatch for what is no path."""
    try:
        return {tuple(pointer(f"/{name}")): value for name, value in members.items()}
    except NotAPointer as error:
        raise SetError("invalidPatch", str(error)) from None


def apply(patch: Patch, object: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The patched object; `defaults` are what null stands for, of properties that have a default.

    `object` is not changed, and shares with the result what the patch does not touch. Raises
    SetError invalidPatch for a path into an array or past what is there, and for two paths of
    which one begins with the other.
    """
    _check_distinct(patch)
    patched = dict(object)
    for name in {path[0] for path in patch if len(path) > 1} & patched.keys():
        patched[name] = deepcopy(patched[name])
    for path, value in patch.items():
        parent = _parent(path, patched)
        name = path[-1]
        if value is None and len(path) == 1 and name in defaults:
            patched[name] = deepcopy(defaults[name])
        elif value is None:
            parent.pop(name, None)
        else:
            parent[name] = value
    return patched


def _check_distinct(paths: Iterable[Path]) -> None:
    # In order, what begins with a path comes right after it.
    for path, following in pairwise(sorted(paths)):
        if following[: len(path)] == path:
            raise _invalid(following, "is inside of another path of the patch")


def _parent(path: Path, object: dict[str, Any]) -> dict[str, Any]:
    """The object in which the last part of the path is to be set."""
    parent: Any = object
    for part in path[:-1]:
        if not isinstance(parent, dict) or part not in parent:
            raise _invalid(path, "leads through what is not there")
        parent = parent[part]
    if not isinstance(parent, dict):
        raise _invalid(path, "leads into what is not an object")
    return parent


def _invalid(path: Path, why: str) -> SetError:
    return SetError("invalidPatch", f'"{"/".join(path)[:64]}" {why}.')
