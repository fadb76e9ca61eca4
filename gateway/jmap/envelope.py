"""RFC 8620 §3.2, §3.3: the Request object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.jmap.errors import RequestError, limit_exceeded, not_request, quoted
from gateway.jmap.kinds import STRING_LIST, is_id
from gateway.jmap.limits import Limits


@dataclass(frozen=True, slots=True)
class Invocation:
    """RFC 8620 §3.2: one method call, as the client sent it."""

    name: str
    arguments: dict[str, Any]
    call_id: str


@dataclass(frozen=True, slots=True)
class Request:
    """RFC 8620 §3.3. `created_ids` is None if the client sent none: then it gets none back."""

    using: frozenset[str]
    calls: tuple[Invocation, ...]
    created_ids: dict[str, str] | None


def parse_request(value: Any, limits: Limits, known: frozenset[str]) -> Request:
    """The Request in a decoded body; `known` are the capabilities of the server.

    Members that no specification defines are ignored. Raises RequestError notRequest,
    unknownCapability, or limit (maxCallsInRequest).
    """
    if not isinstance(value, dict):
        raise not_request("A Request must be an object.")
    using: Any = value.get("using")
    calls: Any = value.get("methodCalls")
    created_ids: Any = value.get("createdIds")
    if not STRING_LIST.accepts(using):
        raise not_request('"using" must be of type String[].')
    if not isinstance(calls, list):
        raise not_request('"methodCalls" must be of type Invocation[].')
    if "createdIds" in value and not _is_id_map(created_ids):
        raise not_request('"createdIds" must be of type Id[Id].')
    invocations = tuple(_invocation(call) for call in calls)
    if unknown := set(using) - known:
        raise RequestError("unknownCapability", detail=f"Not supported: {quoted(unknown)}.")
    if len(invocations) > limits.max_calls_in_request:
        raise limit_exceeded(
            "maxCallsInRequest", f"At most {limits.max_calls_in_request} calls in one request."
        )
    return Request(frozenset(using), invocations, created_ids)


def _invocation(value: object) -> Invocation:
    match value:
        case [str(name), dict(arguments), str(call_id)]:
            return Invocation(name, arguments, call_id)
    raise not_request("An Invocation must be [String, Object, String].")


def _is_id_map(value: object) -> bool:
    return isinstance(value, dict) and all(is_id(k) and is_id(v) for k, v in value.items())
