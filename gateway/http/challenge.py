"""RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1: how a client is told to sign in."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web

from gateway.auth.errors import InsufficientScope, NotAuthenticated
from gateway.config import ServerConfig
from gateway.http.forwarded import base_url

METADATA = "/.well-known/oauth-protected-resource"
"""RFC 9728 §3: where a resource says which authorization server issues tokens for it."""

_REALM = 'realm="jmap-gateway"'


class Challenges:
    """Writes WWW-Authenticate. has_passwords, has_tokens: what users may sign in with."""

    def __init__(self, server: ServerConfig, *, has_passwords: bool, has_tokens: bool) -> None:
        self._server = server
        self._has_passwords = has_passwords
        self._has_tokens = has_tokens

    def of(self, request: web.Request, error: Exception) -> list[str]:
        """The values of the header field for an answer of 401 or 403."""
        challenges = []
        if self._has_tokens:
            challenges.append(f"Bearer {', '.join(self._bearer(request, error))}")
        if self._has_passwords and _is_asked_by_user(request) and not _has_token(error):
            challenges.append(f'Basic {_REALM}, charset="UTF-8"')
        return challenges

    def _bearer(self, request: web.Request, error: Exception) -> Iterator[str]:
        yield _REALM
        if isinstance(error, InsufficientScope):
            yield 'error="insufficient_scope"'
            yield f'scope="{" ".join(error.scopes)}"'
        elif isinstance(error, NotAuthenticated) and error.error is not None:
            yield f'error="{error.error}"'
        yield f'resource_metadata="{metadata_url(request, self._server)}"'


def metadata_url(request: web.Request, server: ServerConfig) -> str:
    """RFC 9728 §3.1: the well-known part comes before the path of the resource."""
    base = base_url(request, server.public_url, server.trusted_proxies)
    scheme, _, rest = base.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority}{METADATA}{slash}{path}{request.rel_url.raw_path}"


def _has_token(error: Exception) -> bool:
    return isinstance(error, InsufficientScope)


def _is_asked_by_user(request: web.Request) -> bool:
    """Whether a browser may ask for a password itself.

    If it sees the challenge to the script of a web page it does, and holds the script's answer
    back meanwhile, so a web mail's login form would hang.
    """
    return (
        "Origin" not in request.headers
        and request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
    )
