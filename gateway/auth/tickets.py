"""RFC 8620 §8.2: tickets: a browser's EventSource, which can send no header, is let in by its URL.

A URL gets into logs, histories and Referer fields, so no password may be in it. A ticket is good
once, for a minute, and for one path. In the store, for any node to take it, is what it stands for:
the Authorization header it was made with, hidden from who reads the database, under a hash of the
ticket. So it is the same check that lets in who has a ticket and who has the header.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final, NamedTuple

from gateway.auth.errors import NotAuthenticated
from gateway.store.base import Durable

_SECONDS: Final = 60.0
_OCTETS: Final = 16
_TICKET: Final = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
# Tickets of a user that are good at a time, so that the store does not fill with them: as many as
# event streams can be opened by them, with some to spare.
_MOST: Final = 128
_BUNDLE: Final = "ticket"
_KEY: Final = "authorization"


class TooManyTickets(Exception):
    """The user has made enough of them; in `retry_after` whole seconds there may be more."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after


class Ticket(NamedTuple):
    """What the client is given."""

    value: str
    expires: datetime


class Tickets:
    """Makes tickets and takes them. Both raise StoreError if the store fails."""

    def __init__(self, durable: Durable, clock: Callable[[], float] = monotonic) -> None:
        self._durable = durable
        self._clock = clock
        self._made: deque[tuple[float, str]] = deque()
        self._counts: Counter[str] = Counter()

    async def make(self, username: str, authorization: str, path: str) -> Ticket:
        """A ticket for GET of the path. Raises TooManyTickets."""
        self._count(username)
        ticket = secrets.token_urlsafe(_OCTETS)
        expires = datetime.now(UTC) + timedelta(seconds=_SECONDS)
        place = _place(ticket, path)
        hidden = self._durable.hide(place, authorization.encode())
        await self._durable.keep(place, _BUNDLE, {_KEY: hidden}, _SECONDS)
        return Ticket(ticket, expires)

    async def take(self, ticket: str, path: str) -> str:
        """The Authorization header that the ticket stands for, which nobody gets again.

        Raises NotAuthenticated if it was taken, is too old, for another path, or none.
        """
        if not _TICKET.fullmatch(ticket):
            raise NotAuthenticated
        place = _place(ticket, path)
        hidden = (await self._durable.load(place, _BUNDLE, (_KEY,))).get(_KEY)
        authorization = self._durable.reveal(place, hidden) if hidden is not None else None
        if hidden is None or authorization is None:
            raise NotAuthenticated
        # Of several nodes that have read it, one replaces it.
        taken = secrets.token_bytes(_OCTETS)
        if not await self._durable.replace(place, _BUNDLE, _KEY, hidden, {_KEY: taken}, _SECONDS):
            raise NotAuthenticated
        return authorization.decode()

    def _count(self, username: str) -> None:
        """Count a ticket of the user, on this node."""
        now = self._clock()
        while self._made and self._made[0][0] <= now - _SECONDS:
            _, name = self._made.popleft()
            self._counts[name] -= 1
            if not self._counts[name]:
                del self._counts[name]
        if self._counts[username] >= _MOST:
            raise TooManyTickets(round(_SECONDS))
        self._counts[username] += 1
        self._made.append((now, username))


def _place(ticket: str, path: str) -> str:
    """Where it is in the store; no user has such a name. The store does not tell the ticket."""
    digest = hashlib.sha256(f"{ticket} {path}".encode()).hexdigest()
    return f"\0ticket {digest}"
