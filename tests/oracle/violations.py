"""What the oracle reports, and how often it saw what is worth counting."""

from __future__ import annotations

from collections import Counter


class Violation(Exception):
    """An invariant does not hold: its name (I1 to I11), and what was seen."""

    def __init__(self, invariant: str, what: str, *details: str) -> None:
        super().__init__("\n    ".join((f"{invariant}: {what}", *details)))
        self.invariant = invariant


class Counts(Counter[str]):
    """How often something happened that is no violation, as "cannotCalculateChanges"."""

    def __str__(self) -> str:
        """In a line, by name."""
        return ", ".join(f"{name} {count}" for name, count in sorted(self.items()))
