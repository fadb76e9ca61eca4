"""RFC 9068 §2.2, RFC 7662 §2.2, OpenID Connect Core §5.1: what is said of an access token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final, Protocol

from gateway.auth.errors import NotAuthenticated

LEEWAY_SECONDS: Final = 60
"""So much two clocks may differ (RFC 7519 §4.1.4)."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Whose token it is; when it ends, in seconds since 1970; its scopes, None if unknown."""

    username: str
    expires: float
    scopes: frozenset[str] | None


class TokenCheck(Protocol):
    """Somebody who knows tokens."""

    async def check(self, token: str) -> Claims:
        """Raises NotAuthenticated, IssuerUnavailable."""
        ...


def read(claims: Mapping[str, Any], username_claim: str) -> Claims:
    """What the claims come to. Raises NotAuthenticated if they do not name a user.

    An address that the authorization server has not verified is anybody's.
    """
    username = claims.get(username_claim)
    is_verified = username_claim != "email" or claims.get("email_verified", True) in (True, "true")
    if not isinstance(username, str) or not username or not is_verified:
        raise NotAuthenticated("invalid_token")
    return Claims(username, _expires(claims), _scopes(claims))


def _expires(claims: Mapping[str, Any]) -> float:
    expires = claims.get("exp", inf)
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        raise NotAuthenticated("invalid_token")
    return float(expires) + LEEWAY_SECONDS


def _scopes(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """RFC 8693 §4.2 `scope`, and what Entra calls `scp`; some give a list."""
    scopes = claims.get("scope", claims.get("scp"))
    if isinstance(scopes, str):
        return frozenset(scopes.split())
    if isinstance(scopes, list):
        return frozenset(each for each in scopes if isinstance(each, str))
    return None
