"""RFC 8620 §6.2: blobs, streamed from the mail server to the client.

What is in a blob was written by strangers, and its media type is chosen by whoever made the URL.
So nothing of it may ever run in a browser with the origin of the service: it is always an
attachment, of exactly the stated type, in a sandbox where neither scripts nor requests are allowed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote

from aiohttp import web

from gateway.auth.slots import NoSlot, Slots
from gateway.http.errors import Overloaded
from gateway.http.observe import route_of
from gateway.http.services import Account, Blob, Services
from gateway.imap.errors import AuthenticationFailed
from gateway.obs.log import get_logger

_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-site",
    "Referrer-Policy": "no-referrer",
}
# RFC 8620 §6.2: the octets behind a blobId never change.
_CACHE = "private, immutable, max-age=31536000"

# RFC 6838 §4.2 names, and parameters of RFC 9110 §5.6.6 whose values need no escapes.
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,127}"  # noqa: S105 -- the token of RFC 9110 §5.6.2
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE = re.compile(
    rf"{_NAME}/{_NAME}(?:[ ]?;[ ]?{_TOKEN}=(?:{_TOKEN}|\"[ !#-\[\]-~]{{0,127}}\")){{0,8}}"
)
# C0, DEL and C1; separators of lines and paragraphs; marks with which a name shows another
# extension than it has; lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)

# Downloads share the few connections of a user with whatever else the user does meanwhile.
_RUNNING = 8
_WAITING = 100
_WAIT_SECONDS = 60.0
# A client that takes no octet for this long has lost interest.
_STALL_SECONDS = 60.0

log = get_logger(__name__)


class Downloads:
    """GET and HEAD: the octets of a blob."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._turns = Slots(running=_RUNNING, waiting=_WAITING, seconds=_WAIT_SECONDS)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Unknown blobs, blobs of others and accounts of others all look the same."""
        account = await self._services.authenticate(request)
        if request.match_info["accountId"] != account.id:
            raise web.HTTPNotFound
        try:
            async with self._turns.slot(account.id):
                return await self._answer(request, account)
        except NoSlot:
            raise Overloaded from None
        except AuthenticationFailed:
            self._services.basic.forget(account.username)
            raise

    async def _answer(self, request: web.Request, account: Account) -> web.StreamResponse:
        blob_id = request.match_info["blobId"]
        blob = await self._services.open_blob(account, blob_id)
        if blob is None:
            raise web.HTTPNotFound
        headers = {"ETag": f'"{blob_id}"', "Cache-Control": _CACHE, **_SAFE_HEADERS}
        if _has(request, blob_id):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = media_type(request.query.get("type", ""))
        headers["Content-Disposition"] = content_disposition(request.match_info["name"])
        response = web.StreamResponse(headers=headers)
        response.content_length = blob.size
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        await _stream(request, response, blob)
        return response


async def _stream(request: web.Request, response: web.StreamResponse, blob: Blob) -> None:
    """Send the octets no faster than the client takes them.

    Until the first ones are there, a failure raises ImapError and becomes an error response. After
    that it can only be told by cutting the connection, lest the part be taken for the whole.
    """
    async with aclosing(blob.chunks()) as chunks:
        first = await anext(chunks, None)
        try:
            await response.prepare(request)
            await _send(response, first, chunks)
        except ConnectionError:
            raise
        except Exception as error:
            log.warning("download cut", route=route_of(request), error=type(error).__name__)
            if request.transport is not None:
                request.transport.abort()


async def _send(
    response: web.StreamResponse, first: bytes | None, rest: AsyncGenerator[bytes, None]
) -> None:
    """Write it all; EOFError if that is not exactly what was announced."""
    announced = response.content_length
    sent = 0
    chunk = first
    while chunk is not None:
        sent += len(chunk)
        if announced is not None and sent > announced:
            raise EOFError
        async with asyncio.timeout(_STALL_SECONDS):
            await response.write(chunk)
        chunk = await anext(rest, None)
    if announced not in (None, sent):
        raise EOFError
    await response.write_eof()


def _has(request: web.Request, blob_id: str) -> bool:
    """RFC 9110 §13.1.2: whether the client says that it has the octets already."""
    return any(tag.value in (blob_id, "*") for tag in request.if_none_match or ())


def media_type(asked: str) -> str:
    """The Content-Type: what was asked for if it is one media type, else application/octet-stream.

    Some clients leave the variable of the URL template as it is, or empty.
    """
    return asked if _MEDIA_TYPE.fullmatch(asked) else "application/octet-stream"


def content_disposition(name: str) -> str:
    """RFC 6266: an attachment with this file name.

    A name that is not plain ASCII also goes in its own encoding (RFC 8187), which readers of
    RFC 6266 prefer. Characters that are no part of a name are dropped.
    """
    name = _UNSAFE.sub("", name)
    if not name:
        return "attachment"
    plain = re.sub(r'[^ -~]|["%\\/]', "_", name)
    value = f'attachment; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe='')}"
    return value
