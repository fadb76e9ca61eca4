"""RFC 8620 §3.1, §8.5: the body of an API request, read without trusting who sends it."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.http.errors import Overloaded
from gateway.jmap.errors import RequestError, limit_exceeded

# Octets of bodies in this process that are being read or worked on. Decoded, a body takes several
# times its size.
_TOTAL = 64_000_000
# The part of it that one user may hold, so that others always find room.
_SHARE = _TOTAL // 2
# How long a request waits for room, and how long its sender may take to send it.
_WAIT_SECONDS = 30.0
_READ_SECONDS = 60.0


def require_identity(request: web.Request) -> None:
    """Raise HTTPUnsupportedMediaType for a Content-Encoding: it could hide a body of any size."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType


def require_json(request: web.Request) -> None:
    """Refuse what is not declared as plain JSON.

    This is also what keeps foreign web pages out: without asking first (see cors.py) a browser
    sends forms and texts for them, but never this type. Raises RequestError notJSON, and what
    require_identity() raises.
    """
    require_identity(request)
    if request.content_type != "application/json":
        raise RequestError(
            "notJSON", status=415, detail="The Content-Type must be application/json."
        )


async def expect(request: web.Request) -> None:
    """RFC 9110 §10.1.1: let a client wait until its body is wanted; see invite().

    Raises HTTPExpectationFailed for an expectation of something else.
    """
    if not _awaits_invitation(request):
        raise web.HTTPExpectationFailed


async def invite(request: web.Request) -> None:
    """Tell a client that waits for it to send the body; to be done when nothing speaks against."""
    if _awaits_invitation(request) and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer is sent yet


def _awaits_invitation(request: web.Request) -> bool:
    return request.headers.get("Expect", "").lower() == "100-continue"


class Bodies:
    """Reads bodies of at most `max_size` octets, and holds only so many of them at a time."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._budget = ByteBudget(_TOTAL, max(_SHARE, max_size), _WAIT_SECONDS)

    @asynccontextmanager
    async def body(self, request: web.Request, user: Hashable) -> AsyncIterator[bytes]:
        """The body, which counts as held until the end of the block.

        Raises RequestError limit (maxSizeRequest), Overloaded when there is no room, or an
        HTTPException when the sender is too slow or breaks HTTP.
        """
        size = request.content_length
        if size is None:
            size = self._max_size  # chunked: it may become as large as that
        if size > self._max_size:
            raise self._too_large()
        await self._budget.take(user, size)
        try:
            body = await self._read(request)
            self._budget.give(user, size - len(body))
            size = len(body)
            yield body
        finally:
            self._budget.give(user, size)

    async def hold(self, user: Hashable, size: int) -> Callable[[], None]:
        """Count octets that are here already as held; gives what lets go of them.

        Raises Overloaded when there is no room.
        """
        await self._budget.take(user, size)
        return partial(self._budget.give, user, size)

    async def _read(self, request: web.Request) -> bytes:
        body = bytearray()
        try:
            await invite(request)
            async with asyncio.timeout(_READ_SECONDS):
                async for chunk in request.content.iter_any():
                    if len(body) + len(chunk) > self._max_size:
                        raise self._too_large()
                    body += chunk
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (HttpProcessingError, web.RequestPayloadError):
            raise web.HTTPBadRequest from None
        return bytes(body)

    def _too_large(self) -> RequestError:
        return limit_exceeded(
            "maxSizeRequest", f"A request may have at most {self._max_size} octets."
        )


class ByteBudget:
    """`total` octets to share, at most `share` of them for one user; the rest wait in line."""

    def __init__(self, total: int, share: int, seconds: float) -> None:
        self._free = total
        self._share = share
        self._seconds = seconds
        self._held: Counter[Hashable] = Counter()
        self._line: deque[tuple[Hashable, int, asyncio.Future[None]]] = deque()

    async def take(self, user: Hashable, size: int) -> None:
        """Take octets, when it is their turn and there are enough. Raises Overloaded."""
        turn = asyncio.get_running_loop().create_future()
        self._line.append((user, size, turn))
        self._advance()
        try:
            async with asyncio.timeout(self._seconds):
                await turn
        except BaseException as error:
            if turn.cancelled():
                self._advance()  # those behind may have waited for this one only
            else:
                self.give(user, size)  # the turn came in the moment of the end
            if isinstance(error, TimeoutError):
                raise Overloaded from None
            raise

    def give(self, user: Hashable, size: int) -> None:
        """Give octets back."""
        self._free += size
        self._held[user] -= size
        if not self._held[user]:
            del self._held[user]
        self._advance()

    def _advance(self) -> None:
        """Serve the line in order, past those whose user holds too much already."""
        waiting: deque[tuple[Hashable, int, asyncio.Future[None]]] = deque()
        while self._line:
            user, size, turn = self._line.popleft()
            if turn.done():
                continue
            if self._held[user] + size > self._share:
                waiting.append((user, size, turn))
            elif size > self._free:
                waiting.append((user, size, turn))
                waiting.extend(self._line)
                break
            else:
                self._free -= size
                self._held[user] += size
                turn.set_result(None)
        self._line = waiting
