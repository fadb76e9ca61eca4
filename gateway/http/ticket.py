"""RFC 8620 §7.3, §8.2: tickets for a browser's EventSource; see auth/tickets.py."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.auth.tickets import TooManyTickets
from gateway.http.cors import Cors
from gateway.http.errors import problem
from gateway.http.services import EVENT_SOURCE, Services
from gateway.jmap import ijson

_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"  # RFC 8620 §1.4: UTCDate


class TicketResource:
    """POST: a new ticket."""

    def __init__(self, services: Services, cors: Cors) -> None:
        self._services = services
        self._cors = cors

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Answer with the ticket, whatever the body: it is not read."""
        if not self._cors.is_allowed(request):
            raise web.HTTPForbidden
        account = (await self._services.authenticate(request)).account
        authorization = request.headers["Authorization"]
        try:
            ticket = await self._services.tickets.make(
                account.username, authorization, EVENT_SOURCE
            )
        except TooManyTickets as error:
            retry = {"Retry-After": str(error.retry_after)}
            return problem(429, "Too many tickets of this user are not used.", headers=retry)
        return web.Response(
            body=ijson.encode(
                {"ticket": ticket.value, "expires": ticket.expires.strftime(_FORMAT)}
            ),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )
