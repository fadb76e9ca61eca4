"""RFC 7628: access tokens that are the mail server's to judge. All there is to find out is whose.

To sign in there the user's name is needed, which is not in a Bearer token's header field.
"""

from __future__ import annotations

import orjson
from joserfc import jws
from joserfc.errors import JoseError

from gateway.auth.errors import IssuerUnavailable, NotAuthenticated
from gateway.auth.oauth.claims import Claims, read
from gateway.auth.oauth.fetching import Refused
from gateway.auth.oauth.issuer import Issuer


class NamedByUserinfo:
    """Asks the issuer by means of the token (OpenID Connect Core §5.3)."""

    def __init__(self, issuer: Issuer, username_claim: str) -> None:
        self._issuer = issuer
        self._username_claim = username_claim

    async def check(self, token: str) -> Claims:
        """Raises NotAuthenticated, IssuerUnavailable."""
        url = await self._issuer.endpoint("userinfo_endpoint")
        try:
            told = await self._issuer.fetcher.get(url, token=token)
        except Refused as refused:
            if refused.status in (401, 403):
                raise NotAuthenticated("invalid_token") from None
            raise IssuerUnavailable(str(refused)) from refused
        return read({**told, "exp": float("inf"), "scope": None}, self._username_claim)


class NamedByItself:
    """Reads what a token says that is a JWT, and verifies nothing: what is made up gets nowhere."""

    def __init__(self, username_claim: str) -> None:
        self._username_claim = username_claim

    async def check(self, token: str) -> Claims:
        """Raises NotAuthenticated."""
        try:
            claims = orjson.loads(jws.extract_compact(token.encode()).payload)
        except (JoseError, ValueError, TypeError):
            claims = None
        if not isinstance(claims, dict):
            raise NotAuthenticated("invalid_token")
        return read(claims, self._username_claim)
