"""WHATWG Fetch §3.2: which web pages may use the service.

Pages of the service's own origin, and of the origins the operator lists. Credentials are never
allowed (no Access-Control-Allow-Credentials): a page sends its Authorization header itself, so
neither cookies nor a password the browser remembers open the mailbox to somebody else's page.
"""

from __future__ import annotations

from aiohttp import web

from gateway.config import ServerConfig
from gateway.http.forwarded import base_url, origin

# What JMAP clients in browsers ask for.
_HEADERS = "Authorization, Content-Type, Last-Event-ID"
# What a page has to see that is to sign in, or to come again later.
_EXPOSED = "WWW-Authenticate, Retry-After"
# Browsers keep a preflight's answer for this long at most (Chromium 2 h, Firefox 24 h).
_MAX_AGE = "86400"


class Cors:
    """`server` has the allowed origins; "*" allows all of them."""

    def __init__(self, server: ServerConfig) -> None:
        self._server = server

    def is_allowed(self, request: web.Request) -> bool:
        """Whether the request comes from no web page, or from one that may use the service.

        To be asked where a browser sends without asking first (Fetch §2.2.2): it would add a
        password that it remembers.
        """
        return "Origin" not in request.headers or self._allow(request) is not None

    async def preflight(self, request: web.Request) -> web.StreamResponse:
        """The answer to OPTIONS, with which a browser asks before it sends credentials."""
        resource = request.match_info.route.resource
        methods = ", ".join(sorted({route.method for route in resource or ()}))
        response = web.Response(status=204, headers={"Allow": methods})
        if self._allow(request) is not None:
            response.headers["Access-Control-Allow-Methods"] = methods
            response.headers["Access-Control-Allow-Headers"] = _HEADERS
            response.headers["Access-Control-Max-Age"] = _MAX_AGE
        return response

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add to every response, errors too, what lets an allowed page read it."""
        response.headers.add("Vary", "Origin")
        if (allow := self._allow(request)) is not None:
            response.headers["Access-Control-Allow-Origin"] = allow
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED

    def _allow(self, request: web.Request) -> str | None:
        sender = request.headers.get("Origin")
        if sender is None:
            return None
        if "*" in self._server.cors_origins:
            return "*"
        # A page in a sandbox has the origin "null": it is everybody's, so it is nobody's.
        allowed = sender in self._server.cors_origins or sender == self._own(request)
        return sender if allowed else None

    def _own(self, request: web.Request) -> str | None:
        """The origin under which the service itself was asked."""
        try:
            return origin(base_url(request, self._server.public_url, self._server.trusted_proxies))
        except web.HTTPBadRequest:
            return None
