"""RFC 8620 §3.5, §3.9: the arguments of methods, declared, and checked in a call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.jmap.errors import invalid_arguments, quoted
from gateway.jmap.kinds import Kind


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a method; required if its kind does not accept its default.

    That is RFC 8620 §3.5: null is the default wherever the signature allows it.
    """

    name: str
    kind: Kind
    default: Any = None

    def __post_init__(self) -> None:
        if self.default is not None and not self.kind.accepts(self.default):
            raise ValueError(
                f"argument {self.name}: default {self.default!r} is no {self.kind.name}"
            )


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


def distinct(what: str, names: Iterable[str]) -> None:
    """ValueError if a declaration names something twice."""
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"declared twice, {what}: {twice}")
