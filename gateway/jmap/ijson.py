"""RFC 8620 §1.5, RFC 7493: I-JSON, checked when it comes in and produced when it goes out."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.jmap.errors import RequestError, limit_exceeded, not_json
from gateway.jmap.kinds import MAX_INT
from gateway.jmap.limits import DEFAULTS


def decode(body: bytes, *, max_depth: int, max_values: int = DEFAULTS.max_json_values) -> Any:
    """The JSON value in `body`, at most `max_depth` arrays and objects deep.

    orjson refuses what is no JSON, a byte order mark, bad UTF-8 and lone surrogates; added here
    are what it lets pass: duplicate member names (it keeps the last), numbers beyond 2^53-1,
    depth, and a number of values that would fill the memory (an empty array or object counts for
    two). Noncharacters are let through: Unicode allows their interchange, and mail has them.

    Raises RequestError notJSON, or limit (maxSizeRequest) for more than `max_values` values.
    """
    structure = _structure(body, max_values)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise not_json(str(error)) from None
    if _members(value, max_depth) != structure.count(b":"):
        raise not_json("An object has two members with the same name.")
    return value


def encode(value: Any) -> bytes:
    """`value` as I-JSON.

    A lone surrogate, which has no UTF-8, is replaced by U+FFFD: one broken string must not keep
    the rest of an answer from the client. Raises TypeError for what is no JSON value, and for an
    integer past 2^53-1.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except TypeError:
        return orjson.dumps(_without_surrogates(value), option=orjson.OPT_STRICT_INTEGER)


def _structure(body: bytes, max_values: int) -> bytes:
    """`body` without its strings, which leaves every `:`, `,`, `{` and `[` that is syntax.

    Runs before the parser and therefore on anything at all; only C loops, each linear in the
    size of the body. In JSON, backslashes occur in strings only; once escaped backslashes and
    then escaped quotation marks are gone, every quotation mark left begins or ends a string.
    """
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in body else body
    # A value comes with at most two strings (itself and its name), hence four quotation marks.
    if bare.count(b'"') > 4 * max_values:
        raise _too_many_values(max_values)
    structure = b"".join(bare.split(b'"')[::2])
    if structure.count(b",") + structure.count(b"{") + structure.count(b"[") >= max_values:
        raise _too_many_values(max_values)
    return structure


def _too_many_values(max_values: int) -> RequestError:
    return limit_exceeded("maxSizeRequest", f"The request has more than {max_values} JSON values.")


def _members(value: Any, max_depth: int) -> int:
    """How many members the objects in `value` have together; checks depth and numbers."""
    members = 0
    depth = -1  # `value` itself is the only item of a level that is not there
    level: list[Any] = [[value]]
    while level:
        depth += 1
        if depth > max_depth:
            raise not_json(f"Arrays and objects are nested more than {max_depth} deep.")
        deeper: list[Any] = []
        for container in level:
            if type(container) is dict:
                members += len(container)
                container = container.values()
            for item in container:
                kind = type(item)
                if kind is dict or kind is list:
                    deeper.append(item)
                elif (kind is int or kind is float) and not -MAX_INT <= item <= MAX_INT:
                    raise not_json("A number is beyond 2^53-1.")
        level = deeper
    return members


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    return value
