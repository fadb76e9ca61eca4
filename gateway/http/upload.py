"""RFC 8620 §6.1: uploads, streamed into the store as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.auth.slots import NoSlot, Slots
from gateway.http.body import invite, require_identity
from gateway.http.cors import Cors
from gateway.http.download import media_type
from gateway.http.services import Services
from gateway.jmap import ijson
from gateway.jmap.errors import RequestError, limit_exceeded
from gateway.sync.budgets import Kind
from gateway.sync.uploads import PENDING_SECONDS, UploadTooLarge

# Web mails send all the files at once that somebody drops on them, whatever maxConcurrentUpload
# says: so many of a user wait for their turn, so long at most.
_WAITING = 16
_WAIT_SECONDS = 30.0
# How long a client may take for an upload, and for any octet of it.
_UPLOAD_SECONDS = PENDING_SECONDS * 0.75
_STALL_SECONDS = 60.0


class Uploads:
    """POST: the octets of a new blob."""

    def __init__(self, services: Services, cors: Cors) -> None:
        self._services = services
        self._cors = cors
        limits = services.limits
        self._limit = limits.max_size_upload
        self._turns = Slots(
            running=limits.max_concurrent_upload, waiting=_WAITING, seconds=_WAIT_SECONDS
        )

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Check from the cheapest to the dearest; the body is read when its turn has come."""
        if not self._cors.is_allowed(request):
            raise web.HTTPForbidden
        visitor = await self._services.authenticate(request)
        if visitor.access.is_read_only:
            raise web.HTTPForbidden
        own = visitor.account
        account = await self._services.account(own, request.match_info["accountId"])
        if account is None:
            raise web.HTTPNotFound
        require_identity(request)
        if (request.content_length or 0) > self._limit:
            raise _too_large(self._limit)
        await self._services.budgets.spend(Kind.UPLOADS, own.id)
        try:
            async with (
                self._turns.slot(own.id),
                asyncio.timeout(_UPLOAD_SECONDS),
                aclosing(_octets(request)) as octets,
            ):
                upload = await account.uploads.receive(
                    media_type(request.content_type), octets, self._limit
                )
        except NoSlot:
            raise limit_exceeded(
                "maxConcurrentUpload", "Too many uploads of this user are waiting."
            ) from None
        except UploadTooLarge as error:
            raise _too_large(error.limit) from None
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        members = {
            "accountId": account.id,
            "blobId": upload.blob_id,
            "type": upload.media_type,
            "size": upload.size,
        }
        return web.Response(status=201, body=ijson.encode(members), content_type="application/json")


def _too_large(limit: int) -> RequestError:
    return RequestError(
        "limit",
        status=413,
        detail=f"An upload may have at most {limit} octets.",
        limit="maxSizeUpload",
    )


async def _octets(request: web.Request) -> AsyncGenerator[bytes, None]:
    """The body, as it comes. Raises an HTTPException when it stops coming, or breaks HTTP."""
    await invite(request)
    while True:
        try:
            async with asyncio.timeout(_STALL_SECONDS):
                chunk = await request.content.readany()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (HttpProcessingError, web.RequestPayloadError):
            raise web.HTTPBadRequest from None
        if not chunk:
            return
        yield chunk
