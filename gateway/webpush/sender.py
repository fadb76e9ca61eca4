"""RFC 8030 §5: one push, handed to the push service."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from gateway.webpush.addresses import BadUrl, Networks, check_url, guarded_socket
from gateway.webpush.encryption import MAX_OCTETS, Keys, encrypted
from gateway.webpush.resolver import Resolver
from gateway.webpush.vapid import Vapid

Urgency: TypeAlias = Literal["very-low", "low", "normal", "high"]

_DEADLINE: Final = 10.0
# At once; of these one push service takes a part only, so that a slow one holds up nobody else.
_AT_ONCE: Final = 64
_AT_ONCE_PER_HOST: Final = 16
# So long a push may wait for its turn.
_QUEUE_SECONDS: Final = 30.0
# Of what a push service answers nobody reads more.
_ANSWER_OCTETS: Final = 1_024
_LONGEST_PAUSE: Final = 24 * 3600.0
_SECONDS = re.compile(r"[0-9]{1,9}")
_RETRIED: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Push:
    """What is sent. octets: JSON; keys None: as it is (RFC 8620 §7.2).

    ttl: seconds for which the push service keeps it for a device that is away.
    """

    url: str
    keys: Keys | None
    octets: bytes
    ttl: int
    urgency: Urgency = "normal"


@dataclass(frozen=True, slots=True)
class Delivered:
    """The push service has taken it."""


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such subscription any more (404, 410)."""


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: no answer, too many pushes, an error there. seconds: when it wants to be asked."""

    reason: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The push service does not want it, nor would it later."""

    status: int
    reason: str


Outcome: TypeAlias = Delivered | Gone | Later | Refused


class Sender:
    """Sends pushes; inside `async with`.

    networks: where they may go beside the internet. ssl_context: whom to trust for the certificates
    of push services.
    """

    _session: aiohttp.ClientSession
    _resolver: Resolver

    def __init__(self, networks: Networks, ssl_context: ssl.SSLContext) -> None:
        self._networks = networks
        self._ssl_context = ssl_context
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._of_hosts: dict[str, asyncio.Semaphore] = {}
        self._users: dict[str, int] = {}

    async def __aenter__(self) -> Sender:
        self._resolver = Resolver()
        connector = aiohttp.TCPConnector(
            ssl=self._ssl_context,
            resolver=self._resolver,
            limit=_AT_ONCE,
            socket_factory=partial(guarded_socket, self._networks),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=_DEADLINE),
            auto_decompress=False,
            headers={"User-Agent": "jmap-gateway"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._resolver.close()

    async def send(self, push: Push, vapid: Vapid) -> Outcome:
        """Hand it over. ValueError if it has more octets than MAX_OCTETS, or none."""
        if not 0 < len(push.octets) <= MAX_OCTETS:
            raise ValueError(f"a push has 1 to {MAX_OCTETS} octets")
        try:
            check_url(push.url, self._networks)  # the operator may allow less than before
        except BadUrl as error:
            return Refused(0, str(error))
        try:
            async with self._turn(urlsplit(push.url).netloc):
                return await self._send(push, vapid)
        except TimeoutError:
            return Later("no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return Later(type(error).__name__)

    async def _send(self, push: Push, vapid: Vapid) -> Outcome:
        fields = {
            "Content-Type": "application/json",
            "TTL": str(push.ttl),
            "Urgency": push.urgency,
            "Authorization": vapid.authorization(push.url),
        }
        body = push.octets
        if push.keys is not None:
            body = encrypted(push.octets, push.keys)
            fields["Content-Encoding"] = "aes128gcm"
        url = URL(push.url, encoded=True)
        async with self._session.post(
            url, data=body, headers=fields, allow_redirects=False
        ) as answer:
            return await _outcome(answer)

    @asynccontextmanager
    async def _turn(self, host: str) -> AsyncIterator[None]:
        """Raises TimeoutError when others take too long."""
        of_host = self._of_hosts.setdefault(host, asyncio.Semaphore(_AT_ONCE_PER_HOST))
        self._users[host] = self._users.get(host, 0) + 1
        try:
            async with asyncio.timeout(_QUEUE_SECONDS) as waiting:
                async with of_host, self._turns:
                    waiting.reschedule(None)
                    yield
        finally:
            self._users[host] -= 1
            if not self._users[host]:
                del self._users[host], self._of_hosts[host]


async def _outcome(answer: aiohttp.ClientResponse) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return Delivered()
    if status in (404, 410):
        return Gone()
    text = await _text(answer)
    if status in _RETRIED or status >= 500:
        return Later(f"{status} {text}", _retry_after(answer.headers.get("Retry-After", "")))
    return Refused(status, text)


async def _text(answer: aiohttp.ClientResponse) -> str:
    """The beginning of it; what counts is the status, with or without the text it promises."""
    octets = b""
    with suppress(TimeoutError, aiohttp.ClientError):
        octets = await answer.content.read(_ANSWER_OCTETS)
    text = octets.decode("utf-8", "replace")
    return "".join(each for each in text if each.isprintable())[:200]


def _retry_after(value: str) -> float | None:
    """RFC 9110 §10.2.3: seconds from now."""
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), _LONGEST_PAUSE)
    try:
        seconds = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_PAUSE)
