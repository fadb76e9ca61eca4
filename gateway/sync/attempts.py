"""RFC 9051 §5.4, RFC 5530: work on a connection that may break, or be told to come back later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.imap.connection import Connection
from gateway.imap.errors import (
    CommandTimeout,
    ConnectionLost,
    ImapError,
    ProtocolError,
    ServerBusy,
)
from gateway.imap.pool import Pool

T = TypeVar("T")

BREAKS = (ConnectionLost, ProtocolError, CommandTimeout)
"""What ends a connection, and may be the fault of what was asked."""


async def attempt(
    pool: Pool,
    work: Callable[[Connection], Awaitable[T]],
    mailbox: bytes | None = None,
    *,
    deadline: float,
    attempts: int = 2,
    patience: float | None = None,
    again_after: tuple[type[ImapError], ...] = (ConnectionLost, ServerBusy),
) -> T:
    """What `work` gives, on a connection of the pool for which `mailbox` is preferred.

    An idle connection may turn out to be dead, and a server may ask for a pause: then the work is
    done again, from its start. Not so where no connection can be had. Raises ImapError.
    """
    while True:
        attempts -= 1
        connected = False
        try:
            async with pool.connection(
                mailbox, deadline=deadline, examined=False, patience=patience
            ) as connection:
                connected = True
                return await work(connection)
        except again_after:
            if not connected or not attempts:
                raise
