"""RFC 8620 §3.4: the Response object, encoded as its parts come into being.

An answer may have thousands of objects. It is encoded in pieces, each of which takes little time,
so that others have their turn in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from gateway.jmap import ijson

_AT_ONCE = 32  # objects: large ones take a few milliseconds together


def invocation(name: str, arguments: dict[str, Any], call_id: str) -> Iterator[bytes]:
    """The encoded Invocation (RFC 8620 §3.2), in pieces. Raises TypeError for what is no JSON."""
    yield b"[%s,{" % ijson.encode(name)
    before = b""
    for member, value in arguments.items():
        yield b"%s%s:" % (before, ijson.encode(member))
        yield from _value(value)
        before = b","
    yield b"},%s]" % ijson.encode(call_id)


def _value(value: Any) -> Iterator[bytes]:
    if not isinstance(value, list | dict) or len(value) <= _AT_ONCE:
        yield ijson.encode(value)
        return
    items = iter(value.items() if isinstance(value, dict) else value)
    collect = type(value)
    before, after = (b"{", b"}") if collect is dict else (b"[", b"]")
    while some := collect(islice(items, _AT_ONCE)):
        yield before + ijson.encode(some)[1:-1]
        before = b","
    yield after


def end(session_state: str, created_ids: dict[str, str] | None) -> bytes:
    """What follows the method responses."""
    members: dict[str, Any] = {"sessionState": session_state}
    if created_ids is not None:
        members["createdIds"] = created_ids
    return b"]," + ijson.encode(members)[1:]


START = b'{"methodResponses":['
"""What precedes the method responses, which have commas between them."""
