"""RFC 8414, OpenID Connect Discovery 1.0: what an authorization server says of itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.auth.errors import IssuerUnavailable
from gateway.auth.oauth.fetching import Fetcher, Refused

# So long it is believed; when it can not be asked then, what it has said goes on for a while.
_FRESH_SECONDS: Final = 3600.0
_RETRY_SECONDS: Final = 10.0


class Issuer:
    """An authorization server, by its issuer identifier; `clock` gives seconds."""

    def __init__(
        self, url: str, fetcher: Fetcher, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.url = url
        self.fetcher = fetcher
        self._clock = clock
        self._lock = asyncio.Lock()
        self._metadata: dict[str, Any] | None = None
        self._failure: IssuerUnavailable | None = None
        self._due = float("-inf")

    async def metadata(self) -> dict[str, Any]:
        """Its metadata. Raises IssuerUnavailable."""
        async with self._lock:
            if self._clock() >= self._due:
                await self._renew()
            if self._metadata is None:
                raise self._failure or IssuerUnavailable(self.url)
            return self._metadata

    async def endpoint(self, name: str) -> str:
        """The URL in its metadata. Raises IssuerUnavailable, also if there is none."""
        url = (await self.metadata()).get(name)
        if not isinstance(url, str) or not is_safe(url):
            raise IssuerUnavailable(f"{self.url} has no {name}")
        return url

    async def _renew(self) -> None:
        try:
            self._metadata = await self._fetch()
        except IssuerUnavailable as error:
            self._failure = error
            self._due = self._clock() + _RETRY_SECONDS
        else:
            self._due = self._clock() + _FRESH_SECONDS

    async def _fetch(self) -> dict[str, Any]:
        for url in metadata_urls(self.url):
            try:
                metadata = await self.fetcher.get(url)
            except Refused:
                continue
            # RFC 8414 §3.3: or it would be that of somebody else.
            if metadata.get("issuer") != self.url:
                raise IssuerUnavailable(f"{url} is about another issuer")
            return metadata
        raise IssuerUnavailable(f"{self.url} has no metadata")


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Where the metadata is: by RFC 8414 §3.1, or else by OpenID Connect Discovery §4.1."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    return (
        f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{path}",
        f"{issuer.rstrip('/')}/.well-known/openid-configuration",
    )


def is_safe(url: str) -> bool:
    """Whether secrets may be sent there: over TLS, or to this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_here = parts.hostname in ("127.0.0.1", "::1", "localhost")
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_here)
    )
