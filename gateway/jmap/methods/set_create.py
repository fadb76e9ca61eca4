"""RFC 8620 §5.3: the creates of a Foo/set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.jmap.call import Call
from gateway.jmap.creation_ids import generations, references
from gateway.jmap.errors import SetError
from gateway.jmap.methods.set_outcome import Outcome, settled
from gateway.jmap.objects import new_object, settable_properties
from gateway.jmap.settable import Setting
from gateway.jmap.spec import DataType


async def create(
    objects: Mapping[str, Mapping[str, Any]], data_type: DataType, setting: Setting, call: Call
) -> Outcome[dict[str, Any]]:
    """What became of the new objects, by creation id; those that others refer to come first."""
    outcome: Outcome[dict[str, Any]] = {}

    def resolve(reference: str) -> str | None:
        """As the call does, but what this call is to create hides older objects of that name."""
        name = reference[1:]
        if reference.startswith("#") and name in objects:
            made = outcome.get(name)
            return made["id"] if isinstance(made, dict) else None
        return call.resolve(reference)

    refer = [n for n, s in settable_properties(data_type).items() if s.refers]
    needs = {
        name: {needed for p in refer for needed in references(sent.get(p))}
        for name, sent in objects.items()
    }
    for generation in generations({name: n & objects.keys() for name, n in needs.items()}):
        whole: dict[str, dict[str, Any]] = {}
        defaults: dict[str, dict[str, Any]] = {}
        for name in generation:
            try:
                whole[name], defaults[name] = new_object(objects[name], data_type, resolve)
            except SetError as error:
                outcome[name] = error
        if not whole:
            continue
        made = await settled(setting.create(whole), whole, f"{data_type.name}/set: create")
        for name, result in made.items():
            if isinstance(result, SetError):
                outcome[name] = result
            else:
                outcome[name] = defaults[name] | result
                call.note_created(name, result["id"])
    return outcome
