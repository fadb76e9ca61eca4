"""RFC 8620 §3.5, §3.9: checks the arguments of a method call against their declaration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.jmap.errors import invalid_arguments, quoted
from gateway.jmap.spec import Argument


def check(arguments: dict[str, Any], declared: Sequence[Argument]) -> dict[str, Any]:
    """Every declared argument with its value, or its default where the client left it out.

    Raises MethodError invalidArguments, naming the first argument that is unknown, missing or
    of the wrong type.
    """
    if unknown := arguments.keys() - {argument.name for argument in declared}:
        raise invalid_arguments(f"Unknown arguments: {quoted(unknown)}.")
    checked: dict[str, Any] = {}
    for argument in declared:
        value = arguments.get(argument.name, argument.default)
        if not argument.kind.accepts(value):
            if argument.name not in arguments:
                raise invalid_arguments(f'The argument "{argument.name}" is missing.')
            raise invalid_arguments(f'"{argument.name}" must be of type {argument.kind.name}.')
        checked[argument.name] = value
    return checked
