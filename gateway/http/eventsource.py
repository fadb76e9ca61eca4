"""RFC 8620 §7.3: a response that goes on, with a `state` event whenever something changes."""

from __future__ import annotations

import asyncio
import math
import random
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import MultiMapping

from gateway.http.errors import problem
from gateway.http.observe import route_of
from gateway.http.services import Services
from gateway.jmap import ijson
from gateway.obs.log import get_logger
from gateway.obs.metrics import EVENT_STREAMS
from gateway.push import event_stream
from gateway.push.changes import is_told_of
from gateway.push.channels import Channel, Channels, Ended
from gateway.push.telling import Following, Telling

_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx, and proxies that follow it, would collect events
    "X-Content-Type-Options": "nosniff",
}

# Names of types; those of vendors may have a prefix.
_TYPES = re.compile(r"[A-Za-z0-9][\w.:/-]*(,[A-Za-z0-9][\w.:/-]*)*", re.ASCII)
_PING = re.compile(r"[0-9]{1,16}")
# Seconds. RFC 8620 §7.3 wants 30 and 300 to be possible.
_MIN_PING, _MAX_PING = 5, 300
# Proxies cut a response that is silent for longer (HAProxy 50 s, nginx 60 s), whether the client
# wants pings or not; and only who writes learns that the client is gone.
_SILENCE_SECONDS = 45.0
# A client that takes nothing for this long has lost interest. The few kB that it may leave to its
# system first do not count, so it has had a hundred events by then.
_STALL_SECONDS = 30.0
# After a restart all clients connect again, and each of them has to log in: not all at once.
_RETRY_SECONDS = (2.0, 10.0)
# What had to make room for another comes back later, so that a user's too many streams do not
# chase each other.
_DISPLACED_SECONDS = (60.0, 120.0)

log = get_logger(__name__)


class BadParameter(Exception):
    """A variable of the URL is missing or has no value that RFC 8620 §7.3 gives it."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The variables of the URL. `types` None: all; `ping` in seconds, 0: none."""

    types: frozenset[str] | None
    close_after_state: bool
    ping: int


def parameters(query: MultiMapping[str]) -> Parameters:
    """RFC 8620 §7.3: the variables, with `ping` within the bounds of this server.

    Raises BadParameter.
    """
    types = _variable(query, "types")
    if types != "*" and not _TYPES.fullmatch(types):
        raise BadParameter('"types" must be "*", or names of types with a comma between them.')
    close_after = _variable(query, "closeafter")
    if close_after not in ("state", "no"):
        raise BadParameter('"closeafter" must be "state" or "no".')
    ping = _variable(query, "ping")
    if not _PING.fullmatch(ping):
        raise BadParameter('"ping" must be a number of seconds, or 0.')
    return Parameters(
        types=None if types == "*" else frozenset(types.split(",")),
        close_after_state=close_after == "state",
        ping=int(ping) and min(max(int(ping), _MIN_PING), _MAX_PING),
    )


def _variable(query: MultiMapping[str], name: str) -> str:
    values = query.getall(name, [])
    if len(values) != 1:
        raise BadParameter(f'"{name}" must be given once.')
    return values[0]


class EventSource:
    """GET: the events. They are no request in the sense of maxConcurrentRequests."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._channels = Channels(services.limits.max_event_streams)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer until the client goes, its account ends, or the service does."""
        told = request.headers.get("Last-Event-ID", "")
        was_told = partial(is_told_of, told=told)
        accounts, access = await self._services.follow(request, was_told, by_ticket=True)
        try:
            asked = parameters(request.query)
        except BadParameter as error:
            return problem(400, str(error))
        response = web.StreamResponse(headers=_HEADERS)
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        response.force_close()
        with (
            EVENT_STREAMS.track_inprogress(),
            self._channels.open(accounts.account_id) as channel,
            access.then(channel.end),
        ):
            async with accounts as following:
                await _serve(request, response, _Stream(following, asked, channel), told)
        return response

    async def close(self, _: web.Application) -> None:
        """End all streams: the service stops, and must not wait for them."""
        self._channels.close()


async def _serve(
    request: web.Request, response: web.StreamResponse, stream: _Stream, told: str
) -> None:
    writer = await response.prepare(request)
    transport = request.transport
    if writer is None or transport is None:
        raise ConnectionResetError
    # A write ends when the client's system has it all: what changes meanwhile is told in one.
    transport.set_write_buffer_limits(high=0)
    try:
        await stream.run(writer, told)
    except TimeoutError:
        log.info("client takes nothing", route=route_of(request))
    except Ended as end:
        if end.displaced and not request.protocol.writing_paused:
            await writer.write(event_stream.retry(random.uniform(*_DISPLACED_SECONDS)))  # noqa: S311
    if request.protocol.writing_paused:
        transport.abort()  # the end of the response would wait for the client, too


class _Stream:
    """What is sent to one client, and when."""

    _writer: AbstractStreamWriter

    def __init__(self, following: Following, asked: Parameters, channel: Channel) -> None:
        self._following = following
        self._asked = asked
        self._channel = channel
        self._telling = Telling(following, asked.types, channel)
        self._event_at = self._written_at = _now()

    async def run(self, writer: AbstractStreamWriter, last_event_id: str) -> None:
        """Send events until the account ends or, if so asked, the first of them is sent.

        Without a Last-Event-ID ("") nothing is sent until something changes. The client gets an
        id all the same: so it misses nothing when it is cut off before that. Raises TimeoutError
        when the client does not take what is sent, Ended, and ConnectionError.
        """
        self._writer = writer
        opening = event_stream.COMMENT + event_stream.retry(random.uniform(*_RETRY_SECONDS))  # noqa: S311
        news = self._event(await self._telling.begin(last_event_id))
        known = last_event_id or self._telling.told
        await self._write(opening + (news or event_stream.event_id(known)))
        while not (news and self._asked.close_after_state) and await self._changed():
            if news := self._event(self._telling.news()):
                await self._write(news)

    def _event(self, change: dict[str, Any] | None) -> bytes:
        """The change as an event; empty if there is none."""
        if change is None:
            return b""
        self._event_at = _now()
        return event_stream.event("state", ijson.encode(change), self._telling.told)

    async def _changed(self) -> bool:
        """Wait for a change, with signs of life meanwhile; False when the account has ended."""
        while True:
            try:
                async with self._channel.until(min(self._ping_at(), self._silent_at())):
                    if not await self._following.wait():
                        return False
            except TimeoutError:
                await self._write(self._sign_of_life())
            else:
                await self._telling.space()
                return True

    def _ping_at(self) -> float:
        return self._event_at + self._asked.ping if self._asked.ping else math.inf

    def _silent_at(self) -> float:
        return self._written_at + _SILENCE_SECONDS

    def _sign_of_life(self) -> bytes:
        """A ping if one is due, else a comment."""
        if self._silent_at() < self._ping_at():
            return event_stream.COMMENT
        self._event_at = _now()
        return event_stream.event("ping", ijson.encode({"interval": self._asked.ping}))

    async def _write(self, octets: bytes) -> None:
        """Return when the client's system has taken it all."""
        async with self._channel.until(_now() + _STALL_SECONDS):
            await self._writer.write(octets)
            await self._writer.drain()
        self._written_at = _now()


def _now() -> float:
    return asyncio.get_running_loop().time()
