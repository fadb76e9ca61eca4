"""RFC 8620 §3.6.1, RFC 9457: every error is a problem details object, and tells no internals."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.auth.errors import NotAuthenticated, TooManyAttempts
from gateway.http.observe import route_of
from gateway.imap.errors import AuthenticationFailed, ImapError
from gateway.jmap.errors import RequestError
from gateway.obs.log import get_logger
from gateway.store.base import StoreUnavailable
from gateway.sync.errors import NotCommitted

_CHALLENGE = 'Basic realm="jmap-gateway", charset="UTF-8"'
# Seconds after which a mail server or store that failed is worth asking again.
_RETRY_AFTER = 10

log = get_logger(__name__)


class Overloaded(Exception):
    """503: this process has more to do than it can hold."""


def problem(
    status: int,
    detail: str = "",
    *,
    type: str = "about:blank",
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """A response with a problem details object (RFC 9457 §3)."""
    body: dict[str, Any] = {"type": type, "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        body["detail"] = detail
    return _response(status, body, headers)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer whatever the handler raises."""
    try:
        return await handler(request)
    except RequestError as error:
        return _response(error.status, error.problem())
    except (NotAuthenticated, AuthenticationFailed):
        return _unauthorized(request)
    except TooManyAttempts as error:
        return problem(
            429,
            "Too many failed logins. Try again later.",
            headers={"Retry-After": str(error.retry_after)},
        )
    except (ImapError, StoreUnavailable, NotCommitted, Overloaded) as error:
        log.warning("unavailable", route=route_of(request), error=type(error).__name__)
        return problem(
            503,
            "The mail server can not be reached at the moment."
            if isinstance(error, ImapError)
            else "The service can not answer at the moment.",
            headers={"Retry-After": str(_RETRY_AFTER)},
        )
    except web.HTTPException as error:
        return _from_aiohttp(error)
    except ConnectionError:
        raise  # the client is gone, there is nobody to answer
    except Exception:
        log.exception("unexpected error", route=route_of(request))
        return problem(500, "An unexpected error occurred. It has been logged.")


def _unauthorized(request: web.Request) -> web.Response:
    """RFC 9110 §15.5.2, but without its challenge to the script of a web page.

    A browser that sees the challenge asks for a password itself and holds the script's answer
    back meanwhile, so a web mail's login form would hang.
    """
    by_script = (
        "Origin" in request.headers
        or request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate"
    )
    return problem(
        401,
        "Credentials are missing or were not accepted.",
        headers=None if by_script else {"WWW-Authenticate": _CHALLENGE},
    )


def _from_aiohttp(error: web.HTTPException) -> web.Response:
    """What aiohttp itself raises: no such path, no such method, ..."""
    kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    return problem(error.status, headers=kept)


def _response(
    status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status,
        body=orjson.dumps(body),
        content_type="application/problem+json",
        headers=headers,
    )
