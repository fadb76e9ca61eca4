"""Reads the checklist, the list of what is done, and the marks in the tests' source."""

from __future__ import annotations

import re

from tests import marks
from tests.marks import TESTS

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
    return marks.cited("checklist", str)


def summary() -> str:
    """Return one line that tells how far the checklist is covered."""
    known, declared, cited = known_ids(), set(declared_ids()), cited_ids()
    waiting = [name for name in known if name in cited and name not in declared]
    line = f"checklist: {len(declared)} of {len(known)} lines done"
    if waiting:
        line += f"; cited by a test but not declared done: {' '.join(waiting)}"
    return line
