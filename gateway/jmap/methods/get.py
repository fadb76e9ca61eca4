"""RFC 8620 §5.1: Foo/get."""

from __future__ import annotations

from typing import Any

from gateway.jmap.arguments import check
from gateway.jmap.call import Call
from gateway.jmap.errors import MethodError, invalid_arguments, quoted, request_too_large
from gateway.jmap.limits import Limits
from gateway.jmap.spec import GET_ARGUMENTS, DataType, Get, GetRequest, GetResult, Property

__all__ = ["GetRequest", "GetResult", "get"]


async def get(
    data_type: DataType, account: Any, arguments: dict[str, Any], call: Call
) -> dict[str, Any]:
    """The response arguments of a /get of `data_type`.

    Raises MethodError unknownMethod, invalidArguments, requestTooLarge, and what the type's
    `load` raises.
    """
    declared = data_type.get
    if declared is None:
        raise MethodError("unknownMethod")
    checked = check(arguments, GET_ARGUMENTS + declared.arguments)
    ids = _ids(checked["ids"], declared, call.limits)
    properties = properties_of(checked["properties"], data_type, declared, call.limits)
    request = GetRequest(
        ids=ids,
        properties=("id", *(p.name for p in properties)),
        sources=frozenset[str]().union(*(p.sources for p in properties)),
        arguments={a.name: checked[a.name] for a in declared.arguments},
        opened=call.opened,
    )
    result = await declared.load(account, request)
    records = result.records
    if ids is None:
        most = call.limits.max_objects_in_get
        if len(records) > most:
            raise request_too_large(f"There are more than {most} objects.")
        ids = tuple(records)
    return {
        "accountId": checked["accountId"],
        "state": result.state,
        "list": [records[id] for id in ids if id in records],
        "notFound": [id for id in ids if id not in records],
    }


def _ids(wanted: list[str] | None, declared: Get, limits: Limits) -> tuple[str, ...] | None:
    if wanted is None:
        if not declared.all_ids:
            raise request_too_large("Ids must be given: there may be too many objects.")
        return None
    if len(wanted) > limits.max_objects_in_get:
        raise request_too_large(f"At most {limits.max_objects_in_get} ids can be asked for.")
    return tuple(dict.fromkeys(wanted))


def properties_of(
    wanted: list[str] | None, data_type: DataType, declared: Get, limits: Limits
) -> tuple[Property, ...]:
    """The properties to return, apart from "id", which is always returned.

    Raises MethodError invalidArguments, requestTooLarge.
    """
    if wanted is None:
        return tuple(p for p in data_type.properties if p.default)
    names = [name for name in dict.fromkeys(wanted) if name != "id"]
    if len(names) > limits.max_properties_in_get:
        raise request_too_large(f"At most {limits.max_properties_in_get} properties can be named.")
    table = {p.name: p for p in data_type.properties}
    found = {name: table.get(name) or _dynamic(declared, name) for name in names}
    if unknown := [name for name, p in found.items() if p is None]:
        raise invalid_arguments(f"{data_type.name} has no properties {quoted(unknown)}.")
    return tuple(p for p in found.values() if p is not None)


def _dynamic(declared: Get, name: str) -> Property | None:
    return declared.dynamic(name) if declared.dynamic is not None else None
