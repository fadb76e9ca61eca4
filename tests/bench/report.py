"""Figures as they are measured, and the one table they are printed in."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

_HEADINGS = ("figure", "unit", "median", "min", "max", "n", "mark", "")


@dataclass(frozen=True, slots=True)
class Mark:
    """What the median of a figure should be."""

    kind: Literal["<=", ">=", "="]
    value: float

    def reached(self, value: float) -> bool:
        """Whether the mark is reached."""
        if self.kind == "<=":
            return value <= self.value
        return value >= self.value if self.kind == ">=" else value == self.value

    def __str__(self) -> str:
        return f"{self.kind} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """Samples of one quantity; `notes` are printed below the table."""

    name: str
    unit: str
    samples: Sequence[float]
    mark: Mark | None = None
    notes: tuple[str, ...] = ()

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        middle = median(self.samples)
        verdict = ""
        if self.mark is not None:
            verdict = "pass" if self.mark.reached(middle) else "MISS"
        numbers = (middle, min(self.samples), max(self.samples))
        mark = str(self.mark) if self.mark else ""
        count = str(len(self.samples))
        return (self.name, self.unit, *map(_number, numbers), count, mark, verdict)


def milliseconds(
    name: str, seconds: Sequence[float], at_most: float | None = None, *notes: str
) -> Figure:
    """Return a figure of durations, given in seconds; `at_most` is in milliseconds."""
    mark = Mark("<=", at_most) if at_most is not None else None
    return Figure(name, "ms", [1000 * second for second in seconds], mark, notes)


def table(figures: Sequence[Figure], machine: str) -> str:
    """Return the machine, a row for each figure, and the notes."""
    rows = [_HEADINGS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [machine, ""]
    for row in rows:
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    notes = [f"{figure.name}: {note}" for figure in figures for note in figure.notes]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def machine(dovecot: str) -> str:
    """Return what is measured on, and how busy others keep it at this moment."""
    information = Path("/proc/cpuinfo")
    text = information.read_text() if information.exists() else ""
    found = re.search(r"model name\s*:\s*(.*)", text)
    model = found[1] if found else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0))
    software = f"Python {platform.python_version()}; Dovecot {dovecot}"
    return f"{model}, {cores} cores (load {os.getloadavg()[0]:.1f} before); {software}"


def _number(value: float) -> str:
    """Return three significant digits, and all that stand before the point."""
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value)}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
