"""RFC 6750: access tokens, which an authorization server has issued."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

from gateway.auth.access import Access
from gateway.auth.errors import InsufficientScope, InvalidToken, NotAuthenticated
from gateway.auth.oauth.claims import Claims, TokenCheck
from gateway.auth.scheme import Admitted, Presented
from gateway.auth.username import canonical_username
from gateway.sasl import AnyCredentials

# RFC 6750 §2.1. The mail server's lines have a limit, too.
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{1,16384}+={0,2}+")


class Bearer:
    """The scheme.

    check: says whose token it is. credentials: what the mail server is asked with, given the user
    and the token. scopes: any of these gives full access; read_scopes: any of those lets read.
    Without either, every token gives full access.
    """

    name: ClassVar[str] = "bearer"
    error: ClassVar[InvalidToken] = "invalid_token"

    def __init__(
        self,
        check: TokenCheck,
        credentials: Callable[[str, str], AnyCredentials],
        scopes: tuple[str, ...],
        read_scopes: tuple[str, ...],
    ) -> None:
        self._check = check
        self._credentials = credentials
        self._scopes = scopes
        self._read_scopes = read_scopes

    def parse(self, value: str) -> Presented:
        """The token. Raises NotAuthenticated."""
        if not _TOKEN.fullmatch(value):
            raise NotAuthenticated(self.error)
        return Presented("", (value,))

    async def admit(self, presented: Presented) -> Admitted:
        """Raises NotAuthenticated, InsufficientScope, IssuerUnavailable."""
        [token] = presented.secrets
        claims = await self._check.check(token)
        username = canonical_username(claims.username)
        if username is None:
            raise NotAuthenticated(self.error)
        access = Access(self._is_read_only(claims), claims.expires)
        if access.seconds <= 0:
            raise NotAuthenticated(self.error)
        return Admitted(self._credentials(username, token), access)

    def _is_read_only(self, claims: Claims) -> bool:
        """Raises InsufficientScope. What nobody knows the scopes of, the mail server judges."""
        known = (*self._scopes, *self._read_scopes)
        if claims.scopes is None or not known:
            return False
        if not claims.scopes.isdisjoint(self._scopes):
            return False
        if claims.scopes.isdisjoint(self._read_scopes):
            raise InsufficientScope(known)
        return True
