"""RFC 8620 §1.6.2: for how long a look at the server is as good as another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

# A look at the server is trusted for as long as it took, times this, and never longer than a
# second: a volley of requests shares one, and looking never takes more than a small share of time.
TRUST_FACTOR = 8.0
MAX_TRUST_SECONDS = 1.0
# Who hears of all changes is trusted for longer. Not for long: Dovecot's NOTIFY passes over some
# changes of the list of mailboxes.
VOUCHED_SECONDS = 3.0

_request_began: ContextVar[float] = ContextVar("_request_began", default=inf)


@contextmanager
def one_request() -> Iterator[None]:
    """What is done inside may share one look, as the calls of a request are about one moment."""
    token = _request_began.set(time.monotonic())
    try:
        yield
    finally:
        _request_began.reset(token)


class Trust:
    """Whether what is known of an account is as good as what the server would say.

    changed: set when the server was heard to say something else.
    """

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._looked = self._until = -inf

    def is_good(self, moment: float, *, vouched: bool) -> bool:
        """Whether nobody needs to look; vouched: somebody hears of all changes."""
        if self.changed.is_set():
            return False
        if self._looked >= _request_began.get() and moment < self._looked + MAX_TRUST_SECONDS:
            return True
        return moment < (self._looked + VOUCHED_SECONDS if vouched else self._until)

    def looked(self, started: float, seconds: float) -> None:
        """All was looked at, beginning at `started`, which took so many seconds."""
        self._looked = started
        self._until = started + min(MAX_TRUST_SECONDS, TRUST_FACTOR * seconds)
