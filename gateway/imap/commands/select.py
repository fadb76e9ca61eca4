"""RFC 9051 §6.3.2: SELECT, for what changes a mailbox; reading is done after EXAMINE."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from gateway.imap.command import Commander
from gateway.imap.commands.examine import Examine, Selected
from gateway.imap.wire.responses import Tagged


class Select(Examine):
    """SELECT of a mailbox by its wire name."""

    name: ClassVar[str] = "SELECT"

    def finish(self, tagged: Tagged) -> Selected:
        return replace(super().finish(tagged), read_only=tagged.code == "READ-ONLY")


async def select(conn: Commander, mailbox: bytes) -> Selected:
    """Open a mailbox for writing. Raises MailboxUnavailable, CommandRefused."""
    return await conn.run(Select(mailbox))


def is_storable(selected: Selected, flag: str) -> bool:
    r"""RFC 9051 §7.1 PERMANENTFLAGS: whether a flag stays when it is stored.

    Where the server does not say, every flag does; a keyword that nobody has used needs \*.
    """
    permanent = selected.permanent_flags
    if permanent is None:
        return True
    known = {name.lower() for name in permanent}
    return flag.lower() in known or ("\\*" in known and not flag.startswith("\\"))
