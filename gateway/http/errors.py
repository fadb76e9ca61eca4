"""RFC 8620 §3.6.1, RFC 9457: every error is a problem details object, and tells no internals."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.auth.errors import (
    InsufficientScope,
    IssuerUnavailable,
    NotAuthenticated,
    TooManyAttempts,
)
from gateway.http.challenge import Challenges
from gateway.http.observe import route_of
from gateway.imap.errors import AuthenticationFailed, ImapError
from gateway.jmap.errors import RequestError
from gateway.obs.log import get_logger
from gateway.store.base import StoreUnavailable
from gateway.sync.budgets import OverBudget
from gateway.sync.errors import NotCommitted

# Seconds after which a mail server or store that failed is worth asking again.
_RETRY_AFTER = 10

_NONE: Final[Mapping[str, str]] = MappingProxyType({})

log = get_logger(__name__)


class Overloaded(Exception):
    """503: this process has more to do than it can hold."""


_SIGN_IN = (NotAuthenticated, AuthenticationFailed, InsufficientScope)
_UNAVAILABLE = (ImapError, StoreUnavailable, NotCommitted, Overloaded, IssuerUnavailable)


def problem(
    status: int,
    detail: str = "",
    *,
    type: str = "about:blank",
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """A response with a problem details object (RFC 9457 §3)."""
    told = _problem(status, detail, headers or {}, type=type)
    return _response(status, told.members, told.headers)


class Problem(NamedTuple):
    """What is told of an error: `members` are those of the problem details object."""

    status: int
    members: dict[str, Any]
    headers: Mapping[str, str] = _NONE


def told_of(error: Exception, route: str) -> Problem:
    """What the client is told; what it can not be told is logged."""
    if isinstance(error, RequestError):
        return Problem(error.status, error.problem())
    if isinstance(error, NotAuthenticated | AuthenticationFailed):
        return _problem(401, "Credentials are missing or were not accepted.")
    if isinstance(error, InsufficientScope):
        return _problem(403, "The access token has not the scope for this.")
    if isinstance(error, TooManyAttempts):
        retry = {"Retry-After": str(error.retry_after)}
        return _problem(429, "Too many failed logins. Try again later.", retry)
    if isinstance(error, OverBudget):
        retry = {"Retry-After": str(error.seconds)}
        return _problem(429, f"Too many {error.kind} of this user. Try again later.", retry)
    if isinstance(error, _UNAVAILABLE):
        log.warning("unavailable", route=route, error=type(error).__name__)
        return _problem(
            503,
            "The mail server can not be reached at the moment."
            if isinstance(error, ImapError)
            else "The service can not answer at the moment.",
            {"Retry-After": str(_RETRY_AFTER)},
        )
    if isinstance(error, web.HTTPException):  # no such path, no such method, ...
        kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return _problem(error.status, headers=kept)
    log.error("unexpected error", route=route, exc_info=error)
    return _problem(500, "An unexpected error occurred. It has been logged.")


def problems(challenges: Challenges | None = None) -> Middleware:
    """A middleware that answers whatever the handler raises, with challenges to users."""

    @web.middleware
    async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as error:
            if isinstance(error, ConnectionError) and not isinstance(error, _UNAVAILABLE):
                raise  # the client is gone, there is nobody to answer
            told = told_of(error, route_of(request))
            response = _response(told.status, told.members, told.headers)
            if challenges is not None and isinstance(error, _SIGN_IN):
                response.headers.extend(
                    ("WWW-Authenticate", challenge) for challenge in challenges.of(request, error)
                )
            return response

    return answered


def _response(
    status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status,
        body=orjson.dumps(body),
        content_type="application/problem+json",
        headers=headers,
    )


def _problem(
    status: int,
    detail: str = "",
    headers: Mapping[str, str] = _NONE,
    *,
    type: str = "about:blank",
) -> Problem:
    members: dict[str, Any] = {"type": type, "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        members["detail"] = detail
    return Problem(status, members, headers)
