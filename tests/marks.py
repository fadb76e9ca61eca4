"""Reads the marks in the tests' source that cite lines of a list."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T", str, int)

TESTS = Path(__file__).parent


def cited(mark: str, kind: type[T]) -> dict[T, set[str]]:
    """Return what the tests cite by a mark, with the places, as `jmap/test_get.py:12`."""
    places: dict[T, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for value, line in citations(path.read_text(), mark, kind):
            places.setdefault(value, set()).add(f"{path.relative_to(TESTS)}:{line}")
    return places


def citations(source: str, mark: str, kind: type[T]) -> Iterator[tuple[T, int]]:
    """Yield each argument of that kind and its line for every `pytest.mark.<mark>(...)`.

    Raises:
        ValueError: a mark cites nothing, or something that is not written out.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name == mark:
                if not arguments:
                    raise ValueError(f"line {node.lineno}: the mark cites nothing")
                for argument in arguments:
                    yield _literal(argument, kind), argument.lineno


def _literal(argument: ast.expr, kind: type[T]) -> T:
    match argument:
        case ast.Constant(value=value) if type(value) is kind:
            return value
    raise ValueError(f"line {argument.lineno}: not written out as {kind.__name__}")
