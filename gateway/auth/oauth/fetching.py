"""RFC 8414 §3, RFC 7662 §2: JSON objects from an authorization server."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson

from gateway.auth.errors import IssuerUnavailable

_DEADLINE: Final = 10.0
_MOST_OCTETS: Final = 1_000_000


class Refused(Exception):
    """The server has answered, with an error. status: of HTTP."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url} answers {status}")
        self.status = status


class Fetcher:
    """Asks. Redirects are not followed: who may answer is said by the URL (RFC 8414 §6.2)."""

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, *, token: str | None = None) -> dict[str, Any]:
        """The object at the URL, with an access token if one is given.

        Raises Refused, IssuerUnavailable.
        """
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return await self._ask("GET", url, headers=headers)

    async def post(
        self, url: str, form: Mapping[str, str], client: tuple[str, str]
    ) -> dict[str, Any]:
        """What is answered to a form of a client (its id and secret, RFC 6749 §2.3.1).

        Raises Refused, IssuerUnavailable.
        """
        id_, secret = (quote(part, safe="") for part in client)
        headers = {"Authorization": aiohttp.encode_basic_auth(id_, secret)}
        return await self._ask("POST", url, data=form, headers=headers)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, url: str, **arguments: Any) -> dict[str, Any]:
        try:
            async with self._open().request(
                method, url, allow_redirects=False, **arguments
            ) as response:
                if response.status != 200:
                    if response.status >= 500 or response.status == 429:
                        raise IssuerUnavailable(f"{url} answers {response.status}")
                    raise Refused(url, response.status)
                return _object(url, await _octets(response))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise IssuerUnavailable(f"{url}: {str(error) or type(error).__name__}") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._ssl_context),
                timeout=aiohttp.ClientTimeout(_DEADLINE),
                headers={"Accept": "application/json"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _octets(response: aiohttp.ClientResponse) -> bytes:
    octets = bytearray()
    async for chunk in response.content.iter_any():
        octets += chunk
        if len(octets) > _MOST_OCTETS:
            raise IssuerUnavailable(f"{response.url} answers without end")
    return bytes(octets)


def _object(url: str, octets: bytes) -> dict[str, Any]:
    try:
        decoded = orjson.loads(octets)
    except orjson.JSONDecodeError:
        decoded = None
    if not isinstance(decoded, dict):
        raise IssuerUnavailable(f"{url} gives no JSON object")
    return decoded
