"""RFC 8887 §4.3: the objects that go over a WebSocket."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.jmap import ijson, response
from gateway.jmap.errors import not_request
from gateway.jmap.kinds import STRING_LIST

_PIECE = 65_536  # octets looked at together, so that bad ones cost no memory


@dataclass(frozen=True, slots=True)
class Request:
    """§4.3.2: a Request of RFC 8620 §3.3, not looked into yet."""

    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PushEnable:
    """§4.3.5.2. `types` None: all; `push_state` "": the client was told nothing yet."""

    types: frozenset[str] | None
    push_state: str


@dataclass(frozen=True, slots=True)
class PushDisable:
    """§4.3.5.3."""


def request_id(value: Any) -> str | None:
    """The `id` of what a client sent; None if there is none."""
    id = value.get("id") if isinstance(value, dict) else None
    return id if isinstance(id, str) else None


def parse(value: Any) -> Request | PushEnable | PushDisable:
    """What a client sent. Raises RequestError notRequest.

    A `dataTypes` that is missing is taken for null.
    """
    if not isinstance(value, dict):
        raise not_request("A message must be an object.")
    match value.get("@type"):
        case "Request":
            if not isinstance(value.get("id", ""), str):
                raise not_request('"id" must be of type String.')
            return Request(value)
        case "WebSocketPushEnable":
            return _push_enable(value)
        case "WebSocketPushDisable":
            return PushDisable()
    raise not_request('"@type" must be "Request", "WebSocketPushEnable" or "WebSocketPushDisable".')


def _push_enable(value: dict[str, Any]) -> PushEnable:
    types: Any = value.get("dataTypes")
    push_state: Any = value.get("pushState")
    if types is not None and not STRING_LIST.accepts(types):
        raise not_request('"dataTypes" must be of type String[]|null.')
    if push_state is not None and not isinstance(push_state, str):
        raise not_request('"pushState" must be of type String.')
    return PushEnable(None if types is None else frozenset(types), push_state or "")


def response_message(pieces: Sequence[bytes], request_id: str | None) -> bytes:
    """§4.3.3: the Response object, of its pieces as dispatch() gives them."""
    members: dict[str, Any] = {"@type": "Response"}
    if request_id is not None:
        members["requestId"] = request_id
    head = ijson.encode(members)[:-1] + b"," + response.START[1:]
    return b"".join((head, *pieces[1:]))


def error_message(problem: Mapping[str, Any], request_id: str | None) -> bytes:
    """§4.3.4: the RequestError object with these problem details."""
    return ijson.encode({"@type": "RequestError", "requestId": request_id, **problem})


def change_message(change: Mapping[str, Any], push_state: str) -> bytes:
    """§4.3.5.1: the StateChange object."""
    return ijson.encode({**change, "pushState": push_state})


def is_text(octets: bytes) -> bool:
    """RFC 6455 §8.1: whether a text message is UTF-8."""
    decoder = getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(octets), _PIECE):
            decoder.decode(octets[start : start + _PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
