"""RFC 2342 (RFC 9051 §6.3.10): NAMESPACE."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gateway.imap.command import Command, Commander
from gateway.imap.errors import CommandRefused
from gateway.imap.wire import encode, modutf7
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged, Untagged
from gateway.imap.wire.tokens import Value


@dataclass(frozen=True, slots=True)
class Namespace:
    """Mailboxes whose names start with `prefix`; `delimiter` is None in a flat one."""

    prefix: str
    delimiter: str | None


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Whose mailboxes are where. Without NAMESPACE: all names are the user's own."""

    personal: tuple[Namespace, ...] = (Namespace("", None),)
    other: tuple[Namespace, ...] = ()
    shared: tuple[Namespace, ...] = ()


class NamespaceCommand(Command[Namespaces]):
    """Asks for the namespaces."""

    name: ClassVar[str] = "NAMESPACE"

    def __init__(self) -> None:
        self._namespaces = Namespaces()

    def encode(self) -> Encoded:
        return encode.atom(self.name)

    def collect(self, response: Untagged) -> bool:
        if response.name != "NAMESPACE":
            return False
        personal, other, shared = map(_namespaces, [*response.values, None, None, None][:3])
        self._namespaces = Namespaces(personal or Namespaces().personal, other, shared)
        return True

    def finish(self, tagged: Tagged) -> Namespaces:
        self.check(tagged)
        return self._namespaces


async def namespaces(conn: Commander) -> Namespaces:
    """The namespaces; the default where the server has none or refuses to tell."""
    if "NAMESPACE" not in conn.capabilities and "IMAP4REV2" not in conn.capabilities:
        return Namespaces()
    try:
        return await conn.run(NamespaceCommand())
    except CommandRefused:
        return Namespaces()


def _namespaces(value: Value) -> tuple[Namespace, ...]:
    if not isinstance(value, list):
        return ()
    found: list[Namespace] = []
    for entry in value:
        if isinstance(entry, list) and entry and isinstance(entry[0], bytes):
            delimiter = entry[1] if len(entry) > 1 else None
            character = delimiter.decode("ascii", "replace") if isinstance(delimiter, bytes) else ""
            found.append(Namespace(modutf7.decode(entry[0]), character or None))
    return tuple(found)
