"""RFC 9051 §5.4, RFC 5530: work on a connection that may break, or be told to come back later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.imap.connection import Connection
from gateway.imap.errors import ConnectionLost, ServerBusy
from gateway.imap.pool import Pool
from gateway.sync.errors import Narrowed, Outdated

T = TypeVar("T")

_ATTEMPTS = 2
_NARROWINGS = 32  # twice as many as it takes to find one message among thousands


async def attempt(
    pool: Pool,
    work: Callable[[Connection], Awaitable[T]],
    mailbox: bytes | None = None,
    *,
    deadline: float,
    patience: float | None = None,
) -> T:
    """What `work` gives, on a connection of the pool for which `mailbox` is preferred.

    An idle connection may turn out to be dead, and a server may ask for a pause: then the work is
    done again, from its start. So it is as long as that helps to find out which message it is that
    breaks connections, or to do without sessions that tell of the past. Not so where no connection
    can be had. Raises ImapError.
    """
    attempts, narrowings = _ATTEMPTS, _NARROWINGS
    while True:
        connected = False
        try:
            async with pool.connection(
                mailbox, deadline=deadline, examined=False, patience=patience
            ) as connection:
                connected = True
                return await work(connection)
        except (Narrowed, Outdated):
            narrowings -= 1
            if not narrowings:
                raise
        except (ConnectionLost, ServerBusy):
            attempts -= 1
            if not connected or not attempts:
                raise
