"""RFC 4314 §3.5: MYRIGHTS."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gateway.imap.command import Command, Commander
from gateway.imap.commands.status import mailbox_octets
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged, Untagged


class MyRights(Command[str | None]):
    """The user's rights on a mailbox; None when the server does not tell them."""

    name: ClassVar[str] = "MYRIGHTS"

    def __init__(self, mailbox: bytes) -> None:
        self._mailbox = mailbox
        self._rights: str | None = None

    def encode(self) -> Encoded:
        return encode.join(encode.atom(self.name), encode.mailbox(self._mailbox))

    def collect(self, response: Untagged) -> bool:
        if response.name != "MYRIGHTS" or len(response.values) != 2:
            return False
        mailbox, rights = response.values
        if isinstance(mailbox, list) or mailbox_octets(mailbox) != self._mailbox:
            return False
        self._rights = rights.decode("ascii", "replace") if isinstance(rights, bytes) else ""
        return True

    def finish(self, tagged: Tagged) -> str | None:
        return self._rights if tagged.status == "OK" else None


async def my_rights(conn: Commander, names: Sequence[bytes]) -> dict[bytes, str]:
    """The rights on each mailbox, in one round trip; mailboxes without an answer are left out.

    Empty on a server without ACL: everything is allowed until it is refused.
    """
    if "ACL" not in conn.capabilities:
        return {}
    rights = await conn.run_all(*map(MyRights, names))
    return {name: each for name, each in zip(names, rights, strict=True) if isinstance(each, str)}
