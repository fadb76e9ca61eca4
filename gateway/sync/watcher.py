"""RFC 2177 (IDLE): one connection that learns of changes of the inbox as they happen."""

from __future__ import annotations

import asyncio

from gateway.imap.commands.examine import Examine
from gateway.imap.commands.idle import idle
from gateway.imap.pool import Pool
from gateway.imap.wire.responses import Untagged
from gateway.sync.data import AccountData

_DEADLINE = 60.0
_EVENTS = frozenset({"EXISTS", "EXPUNGE", "VANISHED", "FETCH"})


async def watch(data: AccountData, pool: Pool, changed: asyncio.Event) -> None:
    """Set `changed` whenever the inbox does. Returns when the server can not IDLE.

    Holds a connection of the pool all the while. Raises ImapError when it is lost.
    """
    inbox = next((m for m in data.mailboxes.values() if m.role == "inbox"), None)
    if inbox is None or inbox.wire is None:
        return

    def on_response(response: Untagged) -> None:
        if response.name in _EVENTS:
            changed.set()

    async with pool.connection(inbox.wire, deadline=_DEADLINE, examined=False) as connection:
        if "IDLE" not in connection.capabilities:
            return
        await connection.run(Examine(inbox.wire))
        changed.set()  # for what happened before the server began to tell
        await idle(connection, on_response, asyncio.Event())
