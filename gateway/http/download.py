"""RFC 8620 §6.2, RFC 9110 §13, §14: blobs, or ranges of them, streamed from the mail server.

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
from gateway.http import ranges
from gateway.http.errors import Overloaded, problem
from gateway.http.observe import route_of
from gateway.http.ranges import Unsatisfiable
from gateway.http.services import Account, Blob, Services
from gateway.imap.errors import AuthenticationFailed
from gateway.jmap.errors import limit_exceeded
from gateway.mail.blob import BlobTooLarge
from gateway.obs.log import get_logger
from gateway.sync.errors import MessageGone, Withdrawn

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
# A client that takes no octet for this long has lost interest; it is looked at only as often.
_STALL_SECONDS = 30.0

log = get_logger(__name__)


class Downloads:
    """GET and HEAD: the octets of a blob."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._turns = Slots(running=_RUNNING, waiting=_WAITING, seconds=_WAIT_SECONDS)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Unknown blobs, blobs of others and accounts of others all look the same."""
        own = (await self._services.authenticate(request)).account
        account = await self._services.account(own, request.match_info["accountId"])
        if account is None:
            raise web.HTTPNotFound
        try:
            async with self._turns.slot(own.id):
                return await self._answer(request, account)
        except NoSlot:
            raise Overloaded from None
        except Withdrawn:
            raise web.HTTPNotFound from None
        except AuthenticationFailed:
            self._services.authenticator.forget(own.username)
            raise

    async def _answer(self, request: web.Request, account: Account) -> web.StreamResponse:
        blob_id = request.match_info["blobId"]
        blob = await self._open(account, blob_id)
        headers = {"ETag": f'"{blob_id}"', "Cache-Control": _CACHE, **_SAFE_HEADERS}
        if (status := _precondition(request, blob_id)) is not None:
            return web.Response(status=status, headers=headers)
        headers["Accept-Ranges"] = "bytes"
        try:
            asked = await _range(request, blob, blob_id)
        except Unsatisfiable:
            headers["Content-Range"] = f"bytes */{blob.size}"
            return problem(416, headers=headers)
        headers["Content-Type"] = media_type(request.query.get("type", ""))
        headers["Content-Disposition"] = content_disposition(request.match_info["name"])
        response = web.StreamResponse(headers=headers)
        response.content_length = blob.size
        if asked is not None:
            start, stop = asked
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{blob.size}"
            response.content_length = stop - start
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        await _stream(request, response, blob.chunks(*asked) if asked else blob.chunks())
        return response

    async def _open(self, account: Account, blob_id: str) -> Blob:
        try:
            blob = await self._services.open_blob(account, blob_id)
        except BlobTooLarge as error:
            raise limit_exceeded(
                "maxSizeUpload", f"Messages of over {error.limit} octets are not taken apart."
            ) from None
        if blob is None:
            raise web.HTTPNotFound
        return blob


def _precondition(request: web.Request, blob_id: str) -> int | None:
    """RFC 9110 §13.2.2: the status to answer with instead of the octets.

    412 where the client does not want these, 304 where it has them.
    """
    wanted = request.if_match
    if wanted is not None and not any(
        tag.value == "*" or (tag.value == blob_id and not tag.is_weak) for tag in wanted
    ):
        return 412
    had = request.if_none_match or ()
    return 304 if any(tag.value in (blob_id, "*") for tag in had) else None


async def _range(request: web.Request, blob: Blob, blob_id: str) -> tuple[int, int] | None:
    """RFC 9110 §14.2: the octets [start, stop) that are asked for; None for all.

    Raises Unsatisfiable, and ImapError as octets that nobody counted yet are counted for this.
    """
    asked = ranges.parse(request.headers.get("Range")) if request.method == "GET" else None
    # RFC 9110 §13.1.5: a range of octets that the client has others of is of no use to it.
    if asked is None or request.headers.get("If-Range", f'"{blob_id}"') != f'"{blob_id}"':
        return None
    if blob.size is None:
        if asked.is_all:
            return None
        await blob.measure()
    size = blob.size
    return asked.resolve(size) if size is not None else None


async def _stream(
    request: web.Request, response: web.StreamResponse, octets: AsyncGenerator[bytes, None]
) -> None:
    """Send the octets no faster than the client takes them.

    Until the first ones are there, a failure raises ImapError and becomes an error response. After
    that it can only be told by cutting the connection, lest the part be taken for the whole.
    """
    async with aclosing(octets) as chunks:
        try:
            first = await anext(chunks, None)
        except MessageGone:
            raise web.HTTPNotFound from None
        try:
            await response.prepare(request)
            await _send(request, response, first, chunks)
        except ConnectionError:
            raise
        except Exception as error:
            log.warning("download cut", route=route_of(request), error=type(error).__name__)
            if request.transport is not None:
                request.transport.abort()


async def _send(
    request: web.Request,
    response: web.StreamResponse,
    first: bytes | None,
    rest: AsyncGenerator[bytes, None],
) -> None:
    """Write it all; EOFError if that is not exactly what was announced."""
    announced = response.content_length
    sent = 0
    chunk = first
    while chunk is not None:
        sent += len(chunk)
        if announced is not None and sent > announced:
            raise EOFError
        await _write(request, response, chunk)
        chunk = await anext(rest, None)
    if announced not in (None, sent):
        raise EOFError
    await response.write_eof()


async def _write(request: web.Request, response: web.StreamResponse, chunk: bytes) -> None:
    """Write, and wait until the client has taken it. Raises TimeoutError when it takes nothing."""
    writing = asyncio.ensure_future(response.write(chunk))
    left = None
    try:
        while not (await asyncio.wait((writing,), timeout=_STALL_SECONDS))[0]:
            before, left = left, _unsent(request)
            if left == before:
                raise TimeoutError
        writing.result()
    finally:
        writing.cancel()


def _unsent(request: web.Request) -> int:
    """Octets that wait to be taken by the client's system."""
    transport = request.transport
    return transport.get_write_buffer_size() if transport is not None else 0


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
