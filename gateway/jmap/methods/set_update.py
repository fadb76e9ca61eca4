"""RFC 8620 §5.3: the updates of a Foo/set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.jmap import patch
from gateway.jmap.call import Call
from gateway.jmap.errors import MethodError, SetError
from gateway.jmap.methods.set_outcome import Outcome, settled
from gateway.jmap.objects import change, known_properties, roots, settable_properties
from gateway.jmap.patch import Patch
from gateway.jmap.settable import Change, Setting
from gateway.jmap.spec import DataType

Updates = Outcome[dict[str, Any] | None]


async def update(
    patches: Mapping[str, Mapping[str, Any]],
    doomed: frozenset[str],
    data_type: DataType,
    setting: Setting,
    call: Call,
) -> Updates:
    """What became of the updates, by id; ids in `doomed` are about to be destroyed."""
    wanted, outcome = _parsed(patches, doomed, call)
    if not wanted:
        return outcome
    names = frozenset[str]().union(*map(roots, wanted.values()))
    properties = known_properties(names, data_type)
    try:
        current = await setting.current(list(wanted), properties)
    except MethodError as error:
        return outcome | dict.fromkeys(wanted, SetError(error.type, error.description))
    table = settable_properties(data_type)
    changes: dict[str, Change] = {}
    for id, wish in wanted.items():
        if id not in current:
            outcome[id] = SetError("notFound")
            continue
        try:
            changed = change(wish, current[id], table, call.resolve)
        except SetError as error:
            outcome[id] = error
            continue
        if changed.after:
            changes[id] = changed
        else:
            outcome[id] = None
    if changes:
        outcome |= await settled(setting.update(changes), changes, f"{data_type.name}/set: update")
    return outcome


def _parsed(
    patches: Mapping[str, Mapping[str, Any]], doomed: frozenset[str], call: Call
) -> tuple[dict[str, Patch], Updates]:
    """The patches by id, and the errors of those that can not be tried."""
    wanted: dict[str, Patch] = {}
    outcome: Updates = {}
    for reference, members in patches.items():
        id = call.resolve(reference)
        if id is None:
            outcome[reference] = SetError("notFound")
        elif id in doomed:
            outcome[id] = SetError("willDestroy")
        elif id in wanted:
            outcome[reference] = SetError("invalidPatch", "Another patch is for the same object.")
        else:
            try:
                wanted[id] = patch.parse(members)
            except SetError as error:
                outcome[id] = error
    return wanted, outcome
