"""RFC 8620 §5.3: Foo/set."""

from __future__ import annotations

from typing import Any

from gateway.jmap.arguments import check
from gateway.jmap.call import Call
from gateway.jmap.errors import MethodError, SetError, request_too_large, state_mismatch
from gateway.jmap.limits import Limits
from gateway.jmap.methods.set_create import create
from gateway.jmap.methods.set_outcome import Outcome, settled, split
from gateway.jmap.methods.set_update import update
from gateway.jmap.settable import SET_ARGUMENTS, Setting, Settled
from gateway.jmap.spec import DataType


async def set_(
    data_type: DataType, account: Any, arguments: dict[str, Any], call: Call
) -> dict[str, Any]:
    """The response arguments of a /set of `data_type`.

    Creates come first, so that "#creationId" can stand for what they create in all the rest; then
    updates, then destroys. Raises MethodError unknownMethod, invalidArguments, requestTooLarge,
    stateMismatch, and what the type's `open` raises.
    """
    declared = data_type.set
    if declared is None:
        raise MethodError("unknownMethod")
    checked = check(arguments, SET_ARGUMENTS + declared.arguments)
    objects: dict[str, dict[str, Any]] = checked["create"] or {}
    patches: dict[str, dict[str, Any]] = checked["update"] or {}
    doomed: list[str] = checked["destroy"] or []
    check_size(len(objects) + len(patches) + len(doomed), call.limits)
    own = {name: checked[name] for name in ("ifInState", *(a.name for a in declared.arguments))}
    async with declared.open(account, own, call.limits) as setting:
        old_state = setting.state
        if checked["ifInState"] not in (None, old_state):
            raise state_mismatch()
        creates = await create(objects, data_type, setting, call)
        to_destroy, destroys = _resolved(doomed, call)
        updates = await update(patches, frozenset(to_destroy), data_type, setting, call)
        destroys |= await _destroy(to_destroy, data_type, setting)
        if declared.after is not None:
            await declared.after(setting, own, Settled(creates, updates, destroys), call)
        new_state = setting.state
    created, not_created = split(creates)
    updated, not_updated = split(updates)
    destroyed, not_destroyed = split(destroys)
    return {
        "accountId": checked["accountId"],
        "oldState": old_state,
        "newState": new_state,
        "created": created,
        "updated": updated,
        "destroyed": list(destroyed) if destroyed else None,
        "notCreated": not_created,
        "notUpdated": not_updated,
        "notDestroyed": not_destroyed,
    }


def check_size(count: int, limits: Limits) -> None:
    """Raise MethodError requestTooLarge for more objects than one call may change."""
    if count > limits.max_objects_in_set:
        raise request_too_large(f"At most {limits.max_objects_in_set} objects can be set.")


def _resolved(doomed: list[str], call: Call) -> tuple[list[str], Outcome[None]]:
    """The distinct ids to destroy, and the errors for creation ids that nothing has."""
    ids = {reference: call.resolve(reference) for reference in doomed}
    unknown = [reference for reference, id in ids.items() if id is None]
    found = dict.fromkeys(id for id in ids.values() if id is not None)
    return list(found), dict.fromkeys(unknown, SetError("notFound"))


async def _destroy(ids: list[str], data_type: DataType, setting: Setting) -> Outcome[None]:
    if not ids:
        return {}
    return await settled(setting.destroy(ids), ids, f"{data_type.name}/set: destroy")
