"""RFC 7662: access tokens of which the authorization server is asked what they are good for."""

from __future__ import annotations

from typing import Any

from gateway.auth.errors import IssuerUnavailable, NotAuthenticated
from gateway.auth.oauth.claims import Claims, read
from gateway.auth.oauth.fetching import Refused
from gateway.auth.oauth.issuer import Issuer


class IntrospectedTokens:
    """Asks about tokens.

    client: the id and the secret by which the gateway is known there. audience: any of these has
    to be meant, where it says any of the token, and must if there are some.
    """

    def __init__(
        self,
        issuer: Issuer,
        client: tuple[str, str],
        audience: tuple[str, ...],
        username_claim: str,
    ) -> None:
        self._issuer = issuer
        self._client = client
        self._audience = frozenset(audience)
        self._username_claim = username_claim

    async def check(self, token: str) -> Claims:
        """Raises NotAuthenticated, IssuerUnavailable."""
        form = {"token": token, "token_type_hint": "access_token"}
        url = await self._issuer.endpoint("introspection_endpoint")
        try:
            told = await self._issuer.fetcher.post(url, form, self._client)
        except Refused as refused:  # it is the gateway that is refused, not the token
            raise IssuerUnavailable(str(refused)) from refused
        if told.get("active") is not True or not self._is_meant(told):
            raise NotAuthenticated("invalid_token")
        if told.get("iss", self._issuer.url) != self._issuer.url:
            raise NotAuthenticated("invalid_token")
        return read(told, self._username_claim)

    def _is_meant(self, told: dict[str, Any]) -> bool:
        audience = told.get("aud", ())
        meant = [audience] if isinstance(audience, str) else audience
        return not self._audience or not self._audience.isdisjoint(meant)
