"""RFC 2177 (IDLE): one connection that learns of changes of the inbox as they happen.

Where the server can not IDLE, its counters are looked at every now and then.
"""

from __future__ import annotations

import asyncio

from gateway.imap.commands.examine import Examine, leave
from gateway.imap.commands.idle import idle
from gateway.imap.commands.status import Status, StatusOf, items_for
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused
from gateway.imap.pool import Pool
from gateway.imap.wire.responses import Untagged
from gateway.sync.data import AccountData

POLL_SECONDS = 60.0
_DEADLINE = 60.0
_EVENTS = frozenset({"EXISTS", "EXPUNGE", "VANISHED", "FETCH"})


async def watch(data: AccountData, pool: Pool, changed: asyncio.Event) -> None:
    """Set `changed` whenever the inbox does, and when changes may have been missed.

    Holds a connection of the pool while the server tells of its own accord. Returns when there is
    no inbox; raises ImapError when the connection is lost.
    """
    inbox = next((m for m in data.mailboxes.values() if m.role == "inbox"), None)
    if inbox is None or inbox.wire is None:
        return
    # The only connection of an account is for what its user asks for.
    if pool.size < 2 or not await _idle(pool, inbox.wire, changed):
        await _poll(pool, inbox.wire, changed)


async def _idle(pool: Pool, wire: bytes, changed: asyncio.Event) -> bool:
    """Be told, until the connection is lost; False when the server does not do that."""

    def on_response(response: Untagged) -> None:
        if response.name in _EVENTS:
            changed.set()

    async with pool.connection(wire, deadline=_DEADLINE, examined=False) as connection:
        if "IDLE" not in connection.capabilities:
            return False
        await connection.run(Examine(wire))
        try:
            await idle(connection, on_response, asyncio.Event(), on_begin=changed.set)
        except CommandRefused:
            return False
    return True


async def _poll(pool: Pool, wire: bytes, changed: asyncio.Event) -> None:
    known: Status | None = None
    while True:
        async with pool.connection(None, deadline=_DEADLINE) as connection:
            status = await _status(connection, wire)
        if known is not None and status != known:
            changed.set()
        known = status
        await asyncio.sleep(POLL_SECONDS)


async def _status(connection: Connection, wire: bytes) -> Status | None:
    """STATUS, which is of a selected mailbox only what is known there already."""
    *_, status = await connection.run_all(*leave(connection), StatusOf(wire, items_for(connection)))
    return status if isinstance(status, Status) else None
