"""RFC 9051 §7.2.2: what a server says it can do."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.imap.wire.tokens import Value


class Capabilities(frozenset[str]):
    """A set of capability names that ignores case: `"condstore" in capabilities`."""

    def __new__(cls, names: Iterable[str] = ()) -> Capabilities:
        """A set of these names."""
        return super().__new__(cls, (name.upper() for name in names))

    @classmethod
    def parse(cls, values: Iterable[Value]) -> Capabilities:
        """From the data of a CAPABILITY response or response code, also of `LITERAL + SASL-IR`."""
        names: list[str] = []
        for value in values:
            if value == b"+" and names:
                names[-1] += "+"
            elif isinstance(value, bytes):
                names.append(value.decode("ascii", "replace"))
        return cls(names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.upper())

    @property
    def auth(self) -> frozenset[str]:
        """The SASL mechanisms (AUTH=...), upper case."""
        return frozenset(name[5:] for name in self if name.startswith("AUTH="))
