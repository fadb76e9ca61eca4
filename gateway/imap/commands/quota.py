"""RFC 9208 §4.1.2 (RFC 2087 §4.3): GETQUOTAROOT."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gateway.imap.command import Command, Commander
from gateway.imap.errors import CommandRefused
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged, Untagged
from gateway.imap.wire.tokens import Value


@dataclass(frozen=True, slots=True)
class Quota:
    """One bound of a quota root: `resource` in upper case; STORAGE is in units of 1,024 octets."""

    root: str
    resource: str
    used: int
    limit: int


class GetQuotaRoot(Command[list[Quota]]):
    """Asks for the bounds that hold for a mailbox, given by its wire name."""

    name: ClassVar[str] = "GETQUOTAROOT"

    def __init__(self, mailbox: bytes) -> None:
        self._mailbox = mailbox
        self._quotas: list[Quota] = []

    def encode(self) -> Encoded:
        return encode.join(encode.atom(self.name), encode.mailbox(self._mailbox))

    def collect(self, response: Untagged) -> bool:
        if response.name not in ("QUOTAROOT", "QUOTA"):
            return False
        match response.values if response.name == "QUOTA" else ():
            case [bytes() | None as root, list() as bounds]:
                name = (root or b"").decode("utf-8", "replace")
                for triple in zip(bounds[::3], bounds[1::3], bounds[2::3], strict=False):
                    self._add(name, *triple)
        return True

    def _add(self, root: str, resource: Value, used: Value, limit: Value) -> None:
        known, bound = _number(used), _number(limit)
        if isinstance(resource, bytes) and known is not None and bound is not None:
            name = resource.decode("ascii", "replace").upper()
            self._quotas.append(Quota(root, name, known, bound))

    def finish(self, tagged: Tagged) -> list[Quota]:
        self.check(tagged)
        return self._quotas


async def quotas(conn: Commander, mailbox: bytes) -> list[Quota]:
    """The bounds that hold for a mailbox; none where the server has no quota, or does not tell."""
    if "QUOTA" not in conn.capabilities:
        return []
    try:
        return await conn.run(GetQuotaRoot(mailbox))
    except CommandRefused:
        return []


def _number(value: Value) -> int | None:
    """64 bits and more: some servers write "no limit" as 2^64-1."""
    return int(value) if isinstance(value, bytes) and value.isdigit() else None
