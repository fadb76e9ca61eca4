"""RFC 8620 §5.3: what a client wants objects to be, checked against their type's declaration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from gateway.jmap import patch
from gateway.jmap.creation_ids import Resolve, Unresolved, resolved, resolved_within
from gateway.jmap.errors import MethodError, SetError, invalid_properties
from gateway.jmap.patch import Patch, Path
from gateway.jmap.settable import REQUIRED, Change, Settable
from gateway.jmap.spec import DataType

# Reasons that are told of one object; its SetError has the names of all properties.
_TOLD = 5
_BY_SERVER = "is set by the server"


class _Values:
    """The valid values of an object, and why others are not: the client learns of all at once."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._valid: dict[str, Any] = {}
        self._reasons: dict[str, str] = {}

    def set(self, name: str, value: Any, settable: Settable) -> None:
        """Take a value, with ids in place of creation ids, or note why not."""
        try:
            value = resolved(value, self._resolve) if settable.refers else value
        except Unresolved as error:
            self.refuse(name, _not_created(error))
            return
        if settable.refers_within is not None:
            value = resolved_within(value, settable.refers_within, self._resolve)
        if settable.kind.accepts(value):
            self._valid[name] = value
        else:
            self.refuse(name, f"must be of type {settable.kind.name}")

    def pass_on(self, name: str, value: Any) -> None:
        self._valid[name] = value

    def refuse(self, name: str, reason: str) -> None:
        self._reasons.setdefault(name, reason)

    def valid(self) -> dict[str, Any]:
        """All values. Raises SetError invalidProperties if there are others."""
        if self._reasons:
            told = [f'"{name[:64]}" {why}' for name, why in self._reasons.items()][:_TOLD]
            raise invalid_properties(self._reasons, "; ".join(told) + ".")
        return self._valid


def settable_properties(data_type: DataType) -> dict[str, Settable]:
    """How properties can be set, of those that can."""
    return {p.name: p.settable for p in data_type.properties if p.settable is not None}


def new_object(
    sent: Mapping[str, Any], data_type: DataType, resolve: Resolve
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The whole object to create, and what of it are defaults for what the client left out.

    Raises SetError invalidProperties.
    """
    table = settable_properties(data_type)
    of_server = {"id", *(p.name for p in data_type.properties)} - table.keys()
    extra = data_type.set.extra if data_type.set is not None else None
    values = _Values(resolve)
    for name, value in sent.items():
        if name in table:
            values.set(name, value, table[name])
        elif name in of_server:
            values.refuse(name, _BY_SERVER)
        elif extra is not None and extra(name):
            values.pass_on(name, value)
        else:
            values.refuse(name, "is not known")
    left_out = {name: settable for name, settable in table.items() if name not in sent}
    for name, settable in left_out.items():
        if settable.initial is REQUIRED:
            values.refuse(name, "is missing")
    given = values.valid()
    defaults = {name: deepcopy(s.initial) for name, s in left_out.items() if s.default}
    return defaults | given, defaults


def overridden(
    sent: Mapping[str, Any], data_type: DataType, names: frozenset[str], resolve: Resolve
) -> dict[str, Any]:
    """What a copy is to have otherwise than its original (RFC 8620 §5.4): properties in `names`.

    Raises SetError invalidProperties.
    """
    table = settable_properties(data_type)
    values = _Values(resolve)
    for name, value in sent.items():
        if name in names:
            values.set(name, value, table[name])
        else:
            values.refuse(name, "can not be set in a copy")
    return values.valid()


def known_properties(names: Iterable[str], data_type: DataType) -> frozenset[str]:
    """Those of the names that are of properties which objects of the type have."""
    table = {"id", *(p.name for p in data_type.properties)}
    return frozenset(name for name in names if name in table or _is_dynamic(name, data_type))


def _is_dynamic(name: str, data_type: DataType) -> bool:
    dynamic = data_type.get.dynamic if data_type.get is not None else None
    try:
        return dynamic is not None and dynamic(name) is not None
    except MethodError:
        return False


def change(
    wanted: Patch, before: Mapping[str, Any], table: Mapping[str, Settable], resolve: Resolve
) -> Change:
    """What a patch changes in an object, of which `before` has the known properties it begins with.

    table: see settable_properties(). Raises SetError invalidPatch or invalidProperties.
    """
    values = _Values(resolve)
    for name in sorted(roots(wanted) - before.keys()):
        values.refuse(name, "is not known")
    wanted = _resolved(wanted, table, values, resolve)
    values.valid()
    defaults = {n: table[n].initial for n in roots(wanted) & table.keys() if table[n].default}
    after = patch.apply(wanted, before, defaults)
    for name in sorted(roots(wanted)):
        value = after.get(name)
        if _same(value, before[name]):
            continue
        settable = table.get(name)
        if settable is None:
            values.refuse(name, _BY_SERVER)
        elif settable.immutable:
            values.refuse(name, "can not be changed")
        else:
            values.set(name, value, settable)
    changed = values.valid()
    return Change({name: before[name] for name in changed}, changed)


def _resolved(
    wanted: Patch, table: Mapping[str, Settable], values: _Values, resolve: Resolve
) -> Patch:
    """The patch with ids in place of creation ids; `values` notes where there are none."""
    found: Patch = {}
    for path, value in wanted.items():
        settable = table.get(path[0])
        if settable is not None and settable.refers:
            try:
                path, value = _resolved_step(path, value, resolve)
            except Unresolved as error:
                values.refuse(path[0], _not_created(error))
        if path in found:
            raise SetError("invalidPatch", "Two paths of the patch lead to the same.")
        found[path] = value
    return found


def _resolved_step(path: Path, value: Any, resolve: Resolve) -> tuple[Path, Any]:
    if len(path) == 1:
        return path, resolved(value, resolve)
    return (path[0], resolved(path[1], resolve), *path[2:]), value


def roots(wanted: Patch) -> frozenset[str]:
    """The names of the properties that a patch is about."""
    return frozenset(path[0] for path in wanted)


def _not_created(error: Unresolved) -> str:
    return f'refers to "{error.reference[:64]}", which was not created'


def _same(value: Any, other: Any) -> bool:
    """Whether two JSON values are equal; in Python alone, true is equal to 1."""
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(_same(v, other[n]) for n, v in value.items())
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(_same, value, other))
    return type(value) is type(other) and bool(value == other)
