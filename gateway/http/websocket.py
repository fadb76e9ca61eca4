"""RFC 8887: JMAP over a WebSocket: the handshake, and what ends a connection."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any, Final

from aiohttp import WSCloseCode, web

from gateway.http.calls import Calls
from gateway.http.cors import Cors
from gateway.http.errors import problem, told_of
from gateway.http.observe import route_of
from gateway.http.services import Services
from gateway.http.ws_connection import Connection, Over
from gateway.obs.metrics import WEBSOCKETS
from gateway.push.channels import Channels, Ended

_PROTOCOL: Final = "jmap"
# A client that says nothing for so long is asked for a sign of life, and has half of it for the
# answer. Proxies cut what is silent for longer (HAProxy 50 s, nginx 60 s).
_HEARTBEAT_SECONDS = 45.0
# How long a client may take to say good-bye, too.
_CLOSE_SECONDS = 5.0


class WebSockets:
    """GET: the handshake, and then the connection for as long as it lasts."""

    def __init__(self, services: Services, calls: Calls, cors: Cors) -> None:
        self._services = services
        self._calls = calls
        self._cors = cors
        self._channels = Channels(services.limits.max_websockets)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """RFC 6455 §10.2: foreign pages are refused before anything else.

        Browsers ask nobody before they open a WebSocket for a page.
        """
        if not self._cors.is_allowed(request):
            raise web.HTTPForbidden
        user, access = await self._services.user(request)
        socket: web.WebSocketResponse[Any] = web.WebSocketResponse(
            timeout=_CLOSE_SECONDS,
            heartbeat=_HEARTBEAT_SECONDS,
            autoping=False,  # who does not read gets no more answers to pings than to requests
            protocols=(_PROTOCOL,),
            compress=False,
            # aiohttp refuses what has just as many.
            max_msg_size=self._services.limits.max_size_request + 1,
            writer_limit=sys.maxsize,  # the connection waits itself for what it sends
            decode_text=False,
        )
        if (refused := _refused(request, socket)) is not None:
            return refused
        with WEBSOCKETS.track_inprogress(), self._channels.open(user) as channel:
            connection = Connection(self._services, self._calls, request, socket, channel)
            try:
                with access.then(partial(connection.end, WSCloseCode.POLICY_VIOLATION)):
                    await connection.run(user)
            except Ended as end:
                # 1008 would say that the credentials are not good any more (§4.2).
                code = WSCloseCode.TRY_AGAIN_LATER if end.displaced else WSCloseCode.GOING_AWAY
                await connection.close(code)
            except Over as over:
                await connection.close(over.code)
            except ConnectionError:
                if not socket.prepared:
                    raise
            except Exception as error:
                if not socket.prepared:
                    raise
                told_of(error, route_of(request))  # which logs it
                await connection.close(WSCloseCode.INTERNAL_ERROR)
        return socket

    async def close(self, _: web.Application) -> None:
        """End all connections: the service stops. What was asked for is still answered."""
        self._channels.close()


def _refused(request: web.Request, socket: web.WebSocketResponse[Any]) -> web.StreamResponse | None:
    """The answer to a handshake that is none (RFC 6455 §4.2.1, RFC 8887 §4.2)."""
    if request.headers.get("Upgrade", "").lower() != "websocket" or request.method != "GET":
        return problem(426, "This is a WebSocket.", headers={"Upgrade": "websocket"})
    offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", ()))
    if _PROTOCOL not in map(str.strip, offered.split(",")):
        return problem(400, 'The subprotocol must be "jmap".')
    if socket.can_prepare(request).protocol != _PROTOCOL:
        return problem(400, headers={"Sec-WebSocket-Version": "13"})
    return None
