"""RFC 5423: the mail server reports that something in an account changed (deploy/dovecot/push.lua).

`POST /events` with `{"user": name, "mailboxes": [name, ...], "delivered": boolean}` on the listener
that is not for the public: who changed something, what, as that user names it, and whether mail was
delivered; all but the first may be missing. A report is only a reason to ask the mail server, or to
have clients ask, so what a forged one could do is cost a look.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import NamedTuple

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.auth.username import canonical_username
from gateway.http.errors import problem

_MAX_OCTETS = 65_536
_MAX_MAILBOXES = 100
_READ_SECONDS = 5.0
_SCHEME = "Bearer "


class Report(NamedTuple):
    """Who changed something, and what."""

    username: str
    mailboxes: list[str]
    is_delivery: bool


def event_handler(heard: Callable[[Report], None], secret: str) -> Handler:
    """The handler of POST /events, for mail servers that know the secret.

    heard: is given each report, with the canonical name of the user. Whether there is such a user
    is not told.
    """
    expected = secret.encode()

    async def report(request: web.Request) -> web.Response:
        # Before anything is answered: Dovecot waits in vain for what comes before it has sent all.
        body = await _body(request)
        given = request.headers.get("Authorization", "")
        token = given.removeprefix(_SCHEME) if given.startswith(_SCHEME) else ""
        if not hmac.compare_digest(token.encode("utf-8", "surrogateescape"), expected):
            return problem(401, "The secret is wrong.", headers={"WWW-Authenticate": "Bearer"})
        told = _report(body)
        if told is None:
            return problem(400, 'The body is not {"user": name, "mailboxes": [name, ...]}.')
        # Mail servers compare names without case more often than not, and tell them in lower case.
        for name in dict.fromkeys((told.username, told.username.lower())):
            heard(told._replace(username=name))
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


def _report(body: bytes) -> Report | None:
    """What is reported; None when it is not said who changed something."""
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(event, dict):
        return None
    name, mailboxes = event.get("user"), event.get("mailboxes", [])
    if not isinstance(name, str) or not isinstance(mailboxes, list):
        return None
    if not all(isinstance(mailbox, str) for mailbox in mailboxes):
        return None
    username = canonical_username(name)
    if username is None:
        return None
    return Report(username, mailboxes[:_MAX_MAILBOXES], event.get("delivered") is True)
