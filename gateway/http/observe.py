"""Design §3 (obs): what is logged and measured of requests and of method calls.

Neither has anything that tells who wrote what to whom: no path, no query, no user.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.imap.errors import AuthenticationFailed
from gateway.jmap.errors import MethodError
from gateway.jmap.registry import Call, Method, Registry
from gateway.jmap.spec import DataType
from gateway.obs.log import get_logger
from gateway.obs.metrics import HTTP_REQUESTS, METHOD_CALLS

log = get_logger(__name__)


def route_of(request: web.Request) -> str:
    """The pattern that the path matched, such as `/jmap/upload/{accountId}`."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Log and measure each request once it is answered."""
    start = time.perf_counter()
    response = await handler(request)
    observed(request.method, route_of(request), response.status, time.perf_counter() - start)
    return response


def observed(method: str, route: str, status: int, seconds: float) -> None:
    """Log and measure a request that is answered."""
    HTTP_REQUESTS.labels(route, str(status)).observe(seconds)
    log.info(
        "request",
        method=method,
        route=route,
        status=status,
        milliseconds=round(seconds * 1000, 1),
    )


class ObservedRegistry(Registry):
    """A registry whose methods are measured as they run.

    `on_login_refused` is told the user name when the mail server no longer takes the credentials
    it took before.
    """

    def __init__(
        self,
        types: Iterable[DataType],
        methods: Iterable[Method],
        on_login_refused: Callable[[str], None],
    ) -> None:
        super().__init__(types, methods)
        self._on_login_refused = on_login_refused

    def method(self, name: str, opened: frozenset[str]) -> Method:
        """See Registry. A method that does not exist is not measured."""
        method = super().method(name, opened)

        async def observed(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
            start = time.perf_counter()
            outcome = "serverFail"
            try:
                response = await method.run(call, arguments)
                outcome = "ok"
            except asyncio.CancelledError:
                outcome = "abandoned"
                raise
            except MethodError as error:
                outcome = error.type
                if isinstance(error.__cause__, AuthenticationFailed):
                    for reference in call.accounts.values():
                        self._on_login_refused(reference.account.username)
                raise
            finally:
                METHOD_CALLS.labels(name, outcome).observe(time.perf_counter() - start)
            return response

        return replace(method, run=observed)
