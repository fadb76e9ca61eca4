"""RFC 8620 §2, §3.1, §6, §7.3, RFC 8887, RFC 9728: which URL is what."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.http.api import Api
from gateway.http.authorization import AuthorizationResources
from gateway.http.body import expect
from gateway.http.calls import Calls
from gateway.http.challenge import METADATA
from gateway.http.cors import Cors
from gateway.http.download import Downloads
from gateway.http.errors import problems
from gateway.http.eventsource import EventSource
from gateway.http.observe import observe
from gateway.http.services import EVENT_SOURCE, Services
from gateway.http.session import SessionResource
from gateway.http.ticket import TicketResource
from gateway.http.upload import Uploads
from gateway.http.websocket import WebSockets


def create_app(services: Services) -> web.Application:
    """The public service."""
    session = SessionResource(services)
    calls = Calls(services)
    api = Api(services, calls)
    event_source = EventSource(services)
    cors = Cors(services.server)
    sockets = WebSockets(services, calls, cors)
    documents = AuthorizationResources(services.server, services.authorization)
    endpoints: list[tuple[str, str, Handler]] = [
        ("GET", "/.well-known/jmap", session.get),
        ("GET", "/jmap/session", session.get),
        ("POST", "/jmap/api", api.post),
        ("GET", "/jmap/download/{accountId}/{blobId}/{name:(?s:.*)}", Downloads(services).get),
        ("POST", "/jmap/upload/{accountId}", Uploads(services, cors).post),
        ("GET", EVENT_SOURCE, event_source.get),
        ("POST", "/jmap/ticket", TicketResource(services, cors).post),
        ("GET", "/jmap/ws", sockets.get),
        ("GET", METADATA + "{resource:(/.*)?}", documents.resource),
        ("GET", "/.well-known/oauth-authorization-server", documents.authorization_server),
    ]
    app = web.Application(middlewares=[observe, problems(services.challenges)])
    app.on_response_prepare.append(cors.prepare)
    app.on_shutdown.append(event_source.close)
    app.on_shutdown.append(sockets.close)
    app.on_cleanup.append(calls.close)
    for method, path, handler in endpoints:
        resource = app.router.add_resource(path)
        resource.add_route(method, handler, expect_handler=expect)
        resource.add_route("OPTIONS", cors.preflight)
        if method == "GET":
            resource.add_route("HEAD", handler)
    return app
