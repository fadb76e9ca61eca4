"""RFC 8620 §5.4: Foo/copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.jmap.arguments import check
from gateway.jmap.call import Call
from gateway.jmap.errors import DefectiveResult, MethodError, SetError, invalid_properties
from gateway.jmap.methods.set import check_size
from gateway.jmap.methods.set_outcome import Outcome, split
from gateway.jmap.objects import overridden
from gateway.jmap.settable import COPY_ARGUMENTS, CopyRequest
from gateway.jmap.spec import DataType


async def copy(
    data_type: DataType, account: Any, arguments: dict[str, Any], call: Call
) -> dict[str, Any]:
    """The response arguments of a /copy of `data_type` to `account`.

    Implies the /set that destroys the originals, if that is wanted. Raises MethodError
    unknownMethod, invalidArguments, fromAccountNotFound, fromAccountNotSupportedByMethod,
    requestTooLarge, and what the type's `run` raises.
    """
    declared = data_type.copy
    if declared is None:
        raise MethodError("unknownMethod")
    checked = check(arguments, COPY_ARGUMENTS)
    from_account = call.from_account(checked, data_type.capability).account
    check_size(len(checked["create"]), call.limits)
    objects, outcome = _objects(checked["create"], data_type, declared.properties, call)
    result = await declared.run(
        CopyRequest(
            from_account=from_account,
            account=account,
            objects=objects,
            limits=call.limits,
            if_from_in_state=checked["ifFromInState"],
            if_in_state=checked["ifInState"],
        )
    )
    if result.created.keys() != objects.keys():
        raise DefectiveResult(f"{data_type.name}/copy", "the outcome is of other objects")
    created, not_created = split(outcome | result.created)
    for name, copied in (created or {}).items():
        call.note_created(name, copied["id"])
    if created and checked["onSuccessDestroyOriginal"]:
        originals = [objects[name]["id"] for name in created]
        call.imply(f"{data_type.name}/set", _destroying(checked, originals))
    return {
        "fromAccountId": checked["fromAccountId"],
        "accountId": checked["accountId"],
        "oldState": result.old_state,
        "newState": result.new_state,
        "created": created,
        "notCreated": not_created,
    }


def _objects(
    sent: Mapping[str, Mapping[str, Any]],
    data_type: DataType,
    properties: frozenset[str],
    call: Call,
) -> tuple[dict[str, dict[str, Any]], Outcome[dict[str, Any]]]:
    """The valid objects to make copies of, and the errors of the others, by creation id."""
    objects: dict[str, dict[str, Any]] = {}
    outcome: Outcome[dict[str, Any]] = {}
    for name, members in sent.items():
        try:
            id = _original(members, call)
            others = {n: value for n, value in members.items() if n != "id"}
            objects[name] = {"id": id, **overridden(others, data_type, properties, call.resolve)}
        except SetError as error:
            outcome[name] = error
    return objects, outcome


def _original(members: Mapping[str, Any], call: Call) -> str:
    reference = members.get("id")
    if not isinstance(reference, str):
        raise invalid_properties(["id"], '"id" must be the id of the object to copy.')
    id = call.resolve(reference)
    if id is None:
        raise SetError("notFound")
    return id


def _destroying(checked: Mapping[str, Any], originals: Iterable[str]) -> dict[str, Any]:
    """The arguments of the /set that destroys originals."""
    return {
        "accountId": checked["fromAccountId"],
        "ifInState": checked["destroyFromIfInState"],
        "destroy": list(dict.fromkeys(originals)),
    }
