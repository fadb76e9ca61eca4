"""RFC 5423: the mail server reports that something in an account changed (deploy/dovecot/push.lua).

`POST /events` with `{"user": name}` on the listener that is not for the public. A report is only
a reason to ask the mail server, so what a forged one could do is cost a look.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import Protocol

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.auth.username import canonical_username
from gateway.http.errors import problem

_MAX_OCTETS = 4096
_READ_SECONDS = 5.0
_SCHEME = "Bearer "


class Watched(Protocol):
    """An account in memory."""

    def mark_changed(self) -> None:
        """Something changed on the server."""


def event_handler(find: Callable[[str], Watched | None], secret: str) -> Handler:
    """The handler of POST /events, for mail servers that know the secret.

    find: gives the account of a canonical user name if it is in memory. Whether it is, is not told.
    """
    expected = secret.encode()

    async def report(request: web.Request) -> web.Response:
        # Before anything is answered: Dovecot waits in vain for what comes before it has sent all.
        body = await _body(request)
        given = request.headers.get("Authorization", "")
        token = given.removeprefix(_SCHEME) if given.startswith(_SCHEME) else ""
        if not hmac.compare_digest(token.encode("utf-8", "surrogateescape"), expected):
            return problem(401, "The secret is wrong.", headers={"WWW-Authenticate": "Bearer"})
        user = _user(body)
        if user is None:
            return problem(400, 'The body is not {"user": name}.')
        # Mail servers compare names without case more often than not, and tell them in lower case.
        for name in dict.fromkeys((user, user.lower())):
            account = find(name)
            if account is not None:
                account.mark_changed()
        return web.Response(status=204)

    return report


async def _body(request: web.Request) -> bytes:
    """The body, if it is small and comes soon."""
    try:
        async with asyncio.timeout(_READ_SECONDS):
            body = await request.content.read(_MAX_OCTETS + 1)
            while len(body) <= _MAX_OCTETS and (more := await request.content.read(_MAX_OCTETS)):
                body += more
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    if len(body) > _MAX_OCTETS:
        raise web.HTTPRequestEntityTooLarge(_MAX_OCTETS, len(body))
    return body


def _user(body: bytes) -> str | None:
    """The canonical name of the user whose mail changed; None when it is not said."""
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    name = event.get("user") if isinstance(event, dict) else None
    return canonical_username(name) if isinstance(name, str) else None
