"""RFC 9068, RFC 7519: access tokens that say themselves, signed, what they are good for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, import_key
from joserfc.jwt import JWTClaimsRegistry, Token

from gateway.auth.errors import IssuerUnavailable, NotAuthenticated
from gateway.auth.oauth.claims import LEEWAY_SECONDS, Claims, read
from gateway.auth.oauth.fetching import Refused
from gateway.auth.oauth.issuer import Issuer

# RFC 8725 §3.1: signatures that only the issuer can make.
_ALGORITHMS: Final = [
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
]
# RFC 9068 §2.1, and what issuers write that are older. Not what a `dpop+jwt` or `logout+jwt` has.
_TYPES: Final = frozenset({"at+jwt", "application/at+jwt", "jwt"})
_FRESH_SECONDS: Final = 3600.0
# Keys that are not known yet are looked for, but not for every token that somebody makes up.
_AGAIN_SECONDS: Final = 30.0


class SignedTokens:
    """Checks tokens by the keys of the issuer. audience: any of these has to be meant."""

    def __init__(
        self,
        issuer: Issuer,
        audience: tuple[str, ...],
        username_claim: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = _Keys(issuer, clock)
        self._username_claim = username_claim
        self._registry = JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer.url},
            aud={"essential": True, "values": [*audience]},
            exp={"essential": True},
        )

    async def check(self, token: str) -> Claims:
        """Raises NotAuthenticated, IssuerUnavailable."""
        header = _header(token)
        keys = await self._keys.find(header.get("kid"))
        try:
            decoded: Token = jwt.decode(token, keys, algorithms=_ALGORITHMS)
            self._registry.validate(decoded.claims)
        except (JoseError, ValueError, TypeError):
            raise NotAuthenticated("invalid_token") from None
        return read(decoded.claims, self._username_claim)


class _Keys:
    """The keys of the issuer (RFC 7517 §5), which change now and then."""

    def __init__(self, issuer: Issuer, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: KeySet | None = None
        self._fetched_at = float("-inf")

    async def find(self, kid: object) -> KeySet:
        """All keys, among them that of this id if there is one. Raises IssuerUnavailable."""
        async with self._lock:
            age = self._clock() - self._fetched_at
            is_due = age >= _FRESH_SECONDS or (age >= _AGAIN_SECONDS and not self._has(kid))
            if is_due:
                await self._renew()
            if self._keys is None:
                raise IssuerUnavailable(f"the keys of {self._issuer.url} are not known")
            return self._keys

    def _has(self, kid: object) -> bool:
        if self._keys is None:
            return False
        return kid is None or any(key.kid == kid for key in self._keys)

    async def _renew(self) -> None:
        """Keys that are known stay good when there are no newer ones to be had."""
        self._fetched_at = self._clock()
        try:
            url = await self._issuer.endpoint("jwks_uri")
            self._keys = _usable(await self._issuer.fetcher.get(url))
        except (IssuerUnavailable, Refused) as error:
            if self._keys is None:
                self._fetched_at = float("-inf")
                raise IssuerUnavailable(str(error)) from error


def _usable(document: dict[str, Any]) -> KeySet:
    """The keys for signatures among them; what is of an unknown kind is for others."""
    keys: list[Key] = []
    for described in document.get("keys", ()):
        if isinstance(described, dict) and described.get("use", "sig") == "sig":
            try:
                keys.append(import_key(described))
            except (JoseError, ValueError, TypeError, KeyError):
                continue
    return KeySet(keys)


def _header(token: str) -> dict[str, Any]:
    """The header, not verified. Raises NotAuthenticated if it is not that of an access token."""
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError):
        raise NotAuthenticated("invalid_token") from None
    type_ = header.get("typ", "JWT")
    if not isinstance(type_, str) or type_.lower() not in _TYPES:
        raise NotAuthenticated("invalid_token")
    return header
