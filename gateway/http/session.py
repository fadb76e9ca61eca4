"""RFC 8620 §2: the Session resource, at its own URL and at /.well-known/jmap (§2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from gateway.auth.access import Visitor
from gateway.http.forwarded import base_url
from gateway.http.services import Account, Services, Share
from gateway.jmap import ijson, session

SHARED_SECONDS: Final = 1.0
"""A client that fetches the Session object sees what was shared so long ago."""


def session_of(
    services: Services, visitor: Visitor[Account], shares: Mapping[str, Share], request: web.Request
) -> dict[str, Any]:
    """The Session object for a visitor, with URLs as seen from where the request came.

    `shares` are the accounts that others share with the user, by id.
    """
    server, account, access = services.server, visitor.account, visitor.access
    own = session.SessionAccount(
        name=account.username,
        is_personal=True,
        is_read_only=access.is_read_only,
        capabilities=services.account_capabilities(account),
    )
    others = {
        account_id: session.SessionAccount(
            name=share.name,
            is_personal=False,
            is_read_only=share.is_read_only or access.is_read_only,
            capabilities=services.account_capabilities(share),
        )
        for account_id, share in shares.items()
    }
    return session.build(
        account.username,
        {account.id: own, **others},
        services.capabilities(account),
        base_url(request, server.public_url, server.trusted_proxies),
        services.limits,
    )


class SessionResource:
    """GET: the Session object."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer at the URL itself: not every client follows redirects."""
        visitor = await self._services.authenticate(request)
        shares = await self._services.accounts.shared(visitor.account, SHARED_SECONDS)
        return web.Response(
            body=ijson.encode(session_of(self._services, visitor, shares, request)),
            content_type="application/json",
            headers={"Cache-Control": "no-cache, no-store, must-revalidate"},
        )
