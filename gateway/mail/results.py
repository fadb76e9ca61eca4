"""RFC 8620 §5.5: results of a query that are all known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListResults:
    """The ids that match, in order."""

    query_state: str
    ids: Sequence[str]
    can_calculate_changes: bool = True

    async def total(self) -> int:
        """How many match."""
        return len(self.ids)

    async def slice(self, start: int, stop: int | None) -> list[str]:
        """Ids from start up to stop."""
        return list(self.ids[start:stop])

    async def index(self, id: str) -> int | None:
        """Position of an id, None when it does not match."""
        return self.ids.index(id) if id in self.ids else None
