"""RFC 8620 §3.7: arguments taken from the results of earlier calls in the same request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gateway.jmap.errors import invalid_arguments, invalid_result_reference, quoted
from gateway.jmap.limits import Limits
from gateway.jmap.pointer import NotAPointer, pointer

# A response to a method call: its name, its arguments, and the id of the call.
Response = tuple[str, dict[str, Any], str]

_INDEX = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


class Budget:
    """What the references of one request may still cost.

    A reference is a few octets that can stand for megabytes, and a reference to a result that
    was itself made of references multiplies. So all of them together must not make a request
    that could not have been sent literally: larger than maxSizeRequest, or too deep.
    """

    def __init__(self, limits: Limits) -> None:
        self.max_depth = limits.max_json_depth
        self._left = limits.max_size_request

    def spend(self, size: int) -> None:
        """Pay for `size` characters, values or steps; MethodError invalidResultReference."""
        self._left -= size
        if self._left < 0:
            raise invalid_result_reference("The references make the request too large.")


def resolve(
    arguments: dict[str, Any], responses: Sequence[Response], budget: Budget
) -> dict[str, Any]:
    """The arguments with every `#name` replaced by `name` and the value it refers to.

    The values are shared with the responses and must not be changed. Raises MethodError
    invalidArguments if an argument is given in both forms, invalidResultReference if a reference
    does not resolve or costs more than is left of `budget`.
    """
    references = {name[1:]: value for name, value in arguments.items() if name.startswith("#")}
    if not references:
        return arguments
    if both := references.keys() & arguments.keys():
        raise invalid_arguments(f"Given both plain and as a reference: {quoted(both)}.")
    resolved = {name: value for name, value in arguments.items() if not name.startswith("#")}
    for name, reference in references.items():
        resolved[name] = _referenced(reference, responses, budget)
    return resolved


def _referenced(reference: object, responses: Sequence[Response], budget: Budget) -> Any:
    match reference:
        case {"resultOf": str(call_id), "name": str(name), "path": str(path)}:
            value = _evaluate(_result(call_id, name, responses), _tokens(path), 0, budget)
            _weigh(value, budget)
            return value
    raise invalid_result_reference("A ResultReference must have Strings resultOf, name and path.")


def _result(call_id: str, name: str, responses: Sequence[Response]) -> dict[str, Any]:
    for response_name, arguments, response_id in responses:
        if response_id == call_id:
            if response_name == name:
                return arguments
            raise invalid_result_reference(f'The response to "{call_id[:64]}" has another name.')
    raise invalid_result_reference(f'There is no response to "{call_id[:64]}".')


def _tokens(path: str) -> list[str]:
    try:
        return pointer(path)
    except NotAPointer as error:
        raise invalid_result_reference(str(error)) from None


def _evaluate(value: Any, tokens: list[str], start: int, budget: Budget) -> Any:
    """RFC 6901 §4 from `tokens[start]` on, with "*" as a token that maps over an array."""
    for position in range(start, len(tokens)):
        budget.spend(1)
        key = tokens[position]
        if isinstance(value, list) and key == "*":
            return _flattened(value, tokens, position + 1, budget)
        if isinstance(value, list) and _INDEX.fullmatch(key) and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            raise invalid_result_reference("The path leads nowhere in the response.")
    return value


def _flattened(items: list[Any], tokens: list[str], start: int, budget: Budget) -> list[Any]:
    found: list[Any] = []
    for item in items:
        result = _evaluate(item, tokens, start, budget)
        if isinstance(result, list):
            found.extend(result)
        else:
            found.append(result)
    return found


def _weigh(value: Any, budget: Budget) -> None:
    """Pay for what `value` would be if it were written out, not for what it holds in memory."""
    depth = -1  # `value` itself is the only item of a level that is not there
    level: list[Any] = [[value]]
    while level:
        depth += 1
        if depth > budget.max_depth:
            raise invalid_result_reference("The references make the request too deep.")
        deeper: list[Any] = []
        for container in level:
            budget.spend(len(container))
            items = container
            if isinstance(container, dict):
                budget.spend(sum(map(len, container)))
                items = container.values()
            budget.spend(sum(len(item) for item in items if isinstance(item, str)))
            deeper += [item for item in items if isinstance(item, dict | list)]
        level = deeper
