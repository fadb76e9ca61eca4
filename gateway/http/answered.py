"""RFC 9112 §9.3: which answers have certainly arrived.

That an answer was written says nothing: the client may have been gone. Who asks for more over the
same connection has got what came before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web

# Connections of which is remembered what depends on their next request.
_MOST: Final = 10_000

Tell = Callable[[], None]


class Answered:
    """What is to be called when an answer has arrived."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[object, str], Sequence[Tell]] = OrderedDict()

    def asked(self, request: web.Request, account_id: str) -> None:
        """A request has come: the answer before it has arrived."""
        for tell in self._waiting.pop((_connection(request), account_id), ()):
            tell()

    def answered(self, request: web.Request, account_id: str, tells: Sequence[Tell]) -> None:
        """What is to be called if the same user asks again over the same connection."""
        if tells:
            self._waiting[_connection(request), account_id] = tells
            if len(self._waiting) > _MOST:
                self._waiting.popitem(last=False)


def _connection(request: web.Request) -> object:
    """The address and port of the other side, which nobody else has meanwhile."""
    transport = request.transport
    return transport.get_extra_info("peername") if transport is not None else None
