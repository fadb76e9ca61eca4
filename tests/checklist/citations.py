"""Reads the checklist, the list of what is done, and the marks in the tests' source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
CHECKLIST = TESTS / "data" / "jmap-mail-checklist.md"
DONE = TESTS / "checklist" / "done.txt"

_LINE = re.compile(r"^- \[[ x]\] ([A-Z]+[0-9]+) ", re.MULTILINE)


def known_ids() -> list[str]:
    """Return the ids of all lines of the checklist, in its order."""
    return _LINE.findall(CHECKLIST.read_text())


def declared_ids() -> list[str]:
    """Return the ids that are declared done, in the order of the file, with repetitions."""
    lines = DONE.read_text().splitlines()
    return [word for line in lines for word in line.partition("#")[0].split()]


def cited_ids() -> dict[str, set[str]]:
    """Return each id that a test cites with the places, as `jmap/test_get.py:12`."""
    places: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for cited, line in citations(path.read_text()):
            places.setdefault(cited, set()).add(f"{path.relative_to(TESTS)}:{line}")
    return places


def citations(source: str) -> Iterator[tuple[str, int]]:
    """Yield each id and its line for every `pytest.mark.checklist(...)` of a module.

    Raises:
        ValueError: a mark cites nothing, or something that is not written out as a string.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="checklist"), args=arguments):
                if not arguments:
                    raise ValueError(f"line {node.lineno}: the mark cites nothing")
                for argument in arguments:
                    yield _literal(argument), argument.lineno


def _literal(argument: ast.expr) -> str:
    match argument:
        case ast.Constant(value=str(text)):
            return text
    raise ValueError(f"line {argument.lineno}: not an id written out as a string")


def summary() -> str:
    """Return one line that tells how far the checklist is covered."""
    known, declared, cited = known_ids(), set(declared_ids()), cited_ids()
    waiting = [name for name in known if name in cited and name not in declared]
    line = f"checklist: {len(declared)} of {len(known)} lines done"
    if waiting:
        line += f"; cited by a test but not declared done: {' '.join(waiting)}"
    return line
