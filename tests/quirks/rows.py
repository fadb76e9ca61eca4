"""Reads the rows of `tests/data/quirks.tsv` and the marks in the tests' source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
QUIRKS = TESTS / "data" / "quirks.tsv"


def known_rows() -> list[int]:
    """Return the numbers of all rows, in their order."""
    return [int(line.partition("\t")[0]) for line in QUIRKS.read_text().splitlines()[1:]]


def cited_rows() -> dict[int, set[str]]:
    """Return each row that a test cites with the places, as `quirks/test_lists.py:12`."""
    places: dict[int, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for cited, line in citations(path.read_text()):
            places.setdefault(cited, set()).add(f"{path.relative_to(TESTS)}:{line}")
    return places


def citations(source: str) -> Iterator[tuple[int, int]]:
    """Yield each row and its line for every `pytest.mark.quirk(...)` of a module.

    Raises:
        ValueError: a mark cites nothing, or something that is not written out as a number.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="quirk"), args=arguments):
                if not arguments:
                    raise ValueError(f"line {node.lineno}: the mark cites nothing")
                for argument in arguments:
                    yield _row(argument), argument.lineno


def _row(argument: ast.expr) -> int:
    match argument:
        case ast.Constant(value=int(row)) if not isinstance(row, bool):
            return row
    raise ValueError(f"line {argument.lineno}: not a row written out as a number")
