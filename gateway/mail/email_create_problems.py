"""RFC 8620 §5.3: all that is wrong with an object, not only what is found first."""

from __future__ import annotations

from gateway.jmap.errors import SetError, invalid_properties

_SHOWN = 5


class Problems:
    """Properties that are invalid, by path: names and indexes with slashes between them."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def add(self, path: str, text: str) -> None:
        """A property is invalid; the first reason counts."""
        self._found.setdefault(path, text)

    def add_error(self, error: SetError) -> None:
        """What another check has found. Raises the error if it is about something else."""
        if error.type != "invalidProperties":
            raise error
        for path in error.properties:
            self.add(path, error.description or "")

    def check(self) -> None:
        """Raise SetError invalidProperties with all of them, if there are any."""
        if self._found:
            texts = [f"{path[:64]}: {text}" for path, text in sorted(self._found.items())]
            more = ["..."] if len(texts) > _SHOWN else []
            raise invalid_properties(self._found, " ".join(texts[:_SHOWN] + more))
