"""RFC 5321 §4.1.1.1: what a server offers in its reply to EHLO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

# RFC 8621 §1.3.2: extensions that say what clients may ask for. How messages get to the server is
# the gateway's business.
_FOR_CLIENTS: Final = ("SIZE", "DSN", "DELIVERBY", "MT-PRIORITY", "FUTURERELEASE", "SMTPUTF8")


@dataclass(frozen=True, slots=True)
class Offer:
    """The extensions a server has, with their arguments, by names in upper case."""

    extensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        """Whether the server has an extension."""
        return name in self.extensions

    @property
    def size(self) -> int | None:
        """RFC 1870: octets of the largest message; None if that is not said."""
        return self._number("SIZE", 0) or None

    @property
    def longest_hold(self) -> int:
        """RFC 4865: for so many seconds the server holds messages; 0 if it does not."""
        return self._number("FUTURERELEASE", 0) or 0

    @property
    def mechanisms(self) -> frozenset[str]:
        """RFC 4954: how users may sign in."""
        return frozenset(name.upper() for name in self.extensions.get("AUTH", ()))

    @property
    def for_clients(self) -> dict[str, list[str]]:
        """RFC 8621 §1.3.2: submissionExtensions."""
        return {name: [*self.extensions[name]] for name in _FOR_CLIENTS if name in self.extensions}

    def _number(self, name: str, position: int) -> int | None:
        arguments = self.extensions.get(name, ())
        if len(arguments) <= position:
            return None
        value = arguments[position]
        return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None


def offer(lines: Iterable[str]) -> Offer:
    """What the lines of a reply to EHLO offer; the first is a greeting."""
    found: dict[str, tuple[str, ...]] = {}
    for line in [*lines][1:]:
        # "AUTH=LOGIN PLAIN" is how some have written it before RFC 2554.
        name, *arguments = line.replace("AUTH=", "AUTH ", 1).split() or [""]
        if name:
            found[name.upper()] = (*found.get(name.upper(), ()), *arguments)
    return Offer(found)


def held(seconds: int, now: float) -> list[str]:
    """RFC 4865 §3: the arguments of FUTURERELEASE of who holds messages for so many seconds."""
    latest = datetime.fromtimestamp(int(now) + seconds, UTC)
    return [str(seconds), latest.strftime("%Y-%m-%dT%H:%M:%SZ")]
