"""RFC 8620 §2: the Session resource, at its own URL and at /.well-known/jmap (§2.2)."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.http.forwarded import base_url
from gateway.http.services import Account, Services
from gateway.jmap import ijson, session


def session_of(services: Services, account: Account, request: web.Request) -> dict[str, Any]:
    """The Session object of the user, with URLs as seen from where the request came."""
    server = services.server
    own = session.SessionAccount(
        name=account.username,
        is_personal=True,
        is_read_only=services.is_read_only,
        capabilities=services.account_capabilities(account),
    )
    return session.build(
        account.username,
        {account.id: own},
        services.capabilities,
        base_url(request, server.public_url, server.trusted_proxies),
        services.limits,
    )


class SessionResource:
    """GET: the Session object."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer at the URL itself: not every client follows redirects."""
        account = await self._services.authenticate(request)
        return web.Response(
            body=ijson.encode(session_of(self._services, account, request)),
            content_type="application/json",
            headers={"Cache-Control": "no-cache, no-store, must-revalidate"},
        )
