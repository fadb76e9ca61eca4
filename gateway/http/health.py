"""Design §2: /healthz, /metrics and /events, on a listener that is not for the public."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.http.errors import problem, problems
from gateway.obs.metrics import CONTENT_TYPE, exposition
from gateway.store.base import StoreError


def create_admin_app(
    ping: Callable[[], Awaitable[None]], on_event: Handler | None = None
) -> web.Application:
    """The endpoints for supervisors, Prometheus and the mail server.

    `ping` raises StoreError if the store fails. `on_event` takes what the mail server reports (see
    events.py); without it there is no such endpoint.
    """

    async def live(_: web.Request) -> web.StreamResponse:
        """The process runs and its event loop turns."""
        return web.json_response({"status": "live"})

    async def ready(_: web.Request) -> web.StreamResponse:
        """Requests can be served. A mail server that is down is told to clients, not here."""
        try:
            await ping()
        except StoreError:
            return problem(503, "The store does not answer.")
        return web.json_response({"status": "ready"})

    async def metrics(_: web.Request) -> web.StreamResponse:
        return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application(middlewares=[problems()])
    app.router.add_get("/healthz/live", live)
    app.router.add_get("/healthz/ready", ready)
    app.router.add_get("/metrics", metrics)
    if on_event is not None:
        app.router.add_post("/events", on_event)
    return app
