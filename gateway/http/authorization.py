"""RFC 9728, RFC 8414: where clients learn who issues the access tokens for this service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.config import ServerConfig
from gateway.http.challenge import METADATA
from gateway.http.forwarded import base_url
from gateway.jmap import ijson

_CACHE = "public, max-age=3600"


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """Who issues tokens. metadata: gives what it says of itself (RFC 8414 §2)."""

    issuer: str
    scopes: tuple[str, ...]
    metadata: Callable[[], Awaitable[dict[str, Any]]]


class AuthorizationResources:
    """GET: the documents, which everybody may read."""

    def __init__(self, server: ServerConfig, authorization: AuthorizationServer | None) -> None:
        self._server = server
        self._authorization = authorization

    async def resource(self, request: web.Request) -> web.StreamResponse:
        """RFC 9728 §3.2: of the resource whose path follows, in the way that its URL is written."""
        if self._authorization is None:
            raise web.HTTPNotFound
        server = self._server
        base = base_url(request, server.public_url, server.trusted_proxies)
        path = request.rel_url.raw_path.removeprefix(METADATA)
        # A public URL may have a path itself, which comes first here.
        own_path = base.partition("://")[2].partition("/")[2]
        if own_path:
            path = path.removeprefix(f"/{own_path}")
        document = {
            "resource": base + path,
            "authorization_servers": [self._authorization.issuer],
            "bearer_methods_supported": ["header"],
            "resource_name": "JMAP",
        }
        if self._authorization.scopes:
            document["scopes_supported"] = [*self._authorization.scopes]
        return _document(document)

    async def authorization_server(self, request: web.Request) -> web.StreamResponse:
        """RFC 8414 §3: what the issuer says, for clients that look for it here."""
        if self._authorization is None:
            raise web.HTTPNotFound
        return _document(await self._authorization.metadata())


def _document(members: dict[str, Any]) -> web.Response:
    return web.Response(
        body=ijson.encode(members),
        content_type="application/json",
        headers={"Cache-Control": _CACHE},
    )
