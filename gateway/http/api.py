"""RFC 8620 §3: POST of a Request object, answered with a Response object."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from gateway.http.answered import Answered
from gateway.http.body import require_json
from gateway.http.calls import Calls
from gateway.http.coding import coded
from gateway.http.services import Services


class Api:
    """POST: method calls."""

    def __init__(self, services: Services, calls: Calls) -> None:
        self._services = services
        self._calls = calls
        self._answered = Answered()

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Check from the cheapest to the dearest; the body is read when its turn has come."""
        visitor = await self._services.authenticate(request)
        user = visitor.account.id
        self._answered.asked(request, user)
        require_json(request)
        async with AsyncExitStack() as held:

            async def receive() -> Any:
                body = self._calls.bodies.body(request, user)
                return self._calls.decode(await held.enter_async_context(body))

            answer = await self._calls.run(request, visitor, held, receive)
        self._answered.answered(request, user, answer.answered)
        octets, fields = await coded(answer.pieces, request.headers.get("Accept-Encoding", ""))
        return web.Response(body=octets, content_type="application/json", headers=fields)
