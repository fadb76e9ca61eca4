"""RFC 9110 §11.6.2: the Authorization header, judged by the mail server.

A login at the mail server costs milliseconds and a connection, so its verdict is remembered under
a keyed hash of the credentials: for minutes when it was yes, for seconds when it was no. The key
lives as long as the process and the password only as long as the login.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from gateway.auth.access import Access, Visitor
from gateway.auth.errors import IssuerUnavailable, NotAuthenticated, TooManyAttempts
from gateway.auth.limiter import FailureLimiter
from gateway.auth.scheme import Presented, Scheme
from gateway.imap.errors import AuthenticationFailed, ImapError
from gateway.obs.metrics import LOGINS
from gateway.sasl import AnyCredentials

# Wrong credentials are not asked about again for this long, should the client insist on them.
_REFUSAL_SECONDS = 10.0
# The same wrong password is one guess, however often a forgotten client repeats it meanwhile.
_SAME_GUESS_SECONDS = 24 * 3600.0
# Verdicts remembered, each some 300 octets.
_CAPACITY = 50_000

A = TypeVar("A", covariant=True)


class Accounts(Protocol[A]):
    """What knows the users: the accounts of the mail server."""

    async def login(self, credentials: AnyCredentials, client_address: str) -> A:
        """Raise AuthenticationFailed if the credentials are wrong, else another ImapError."""
        ...

    def get(self, username: str) -> A | None:
        """The account, if it is in memory and its credentials are still good."""
        ...


@dataclass(frozen=True, slots=True)
class _Login:
    """The mail server took these credentials; `until` is in seconds of the clock."""

    username: str
    until: float
    access: Access


class Authenticator(Generic[A]):
    """Finds the account of an Authorization header; one per process.

    `clock` gives seconds that never go back.
    """

    def __init__(
        self,
        schemes: Sequence[Scheme],
        accounts: Accounts[A],
        limiter: FailureLimiter,
        *,
        cache_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._schemes = {scheme.name: scheme for scheme in schemes}
        self._accounts = accounts
        self._limiter = limiter
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._logins: OrderedDict[bytes, _Login] = OrderedDict()
        self._refusals: OrderedDict[bytes, float] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[Visitor[A]]] = {}

    async def authenticate(self, authorization: str | None, client_address: str) -> Visitor[A]:
        """Whoever sends this value of an Authorization header (None: there was none).

        Raises NotAuthenticated, InsufficientScope, TooManyAttempts (the mail server was not
        asked), or IssuerUnavailable or an ImapError when those can not be asked who know.
        """
        scheme, presented = self._parse(authorization)
        digest = self._digest(scheme, presented)
        if (visitor := self._remembered(digest)) is not None:
            LOGINS.labels("cached").inc()
            return visitor
        if digest not in self._under_way:
            self._refuse_again(scheme, digest)
            task = asyncio.create_task(self._log_in(scheme, presented, digest, client_address))
            self._under_way[digest] = task
            task.add_done_callback(lambda done: self._finished(digest, done))
        # One client that goes away must not take the login from the others who wait for it.
        return await asyncio.shield(self._under_way[digest])

    def recognise(self, authorization: str | None) -> tuple[str, Access] | None:
        """The user whom the mail server let in with these credentials once, as far as is known.

        That may be long ago: it says who comes back to what is open to that user still, and opens
        nothing. The account need not be in memory. Raises NotAuthenticated.
        """
        login = self._logins.get(self._digest(*self._parse(authorization)))
        if login is None or login.access.seconds <= 0:
            return None
        return login.username, login.access

    def forget(self, username: str) -> None:
        """Ask the mail server again for this user: it refused what it had accepted before."""
        for digest in [d for d, login in self._logins.items() if login.username == username]:
            del self._logins[digest]

    def _parse(self, authorization: str | None) -> tuple[Scheme, Presented]:
        """Raises NotAuthenticated, also for a scheme that is not among those here."""
        name, _, value = (authorization or "").partition(" ")
        scheme = self._schemes.get(name.lower())
        if scheme is None:
            raise NotAuthenticated
        return scheme, scheme.parse(value.strip(" "))

    def _finished(self, digest: bytes, task: asyncio.Task[Visitor[A]]) -> None:
        del self._under_way[digest]
        if not task.cancelled():
            task.exception()  # taken note of, should everybody who waited have gone

    def _remembered(self, digest: bytes) -> Visitor[A] | None:
        login = self._logins.get(digest)
        if login is None or login.until <= self._clock():
            return None
        account = self._accounts.get(login.username)
        if account is None:
            return None
        self._logins.move_to_end(digest)
        return Visitor(account, login.access)

    def _refuse_again(self, scheme: Scheme, digest: bytes) -> None:
        refused = self._refusals.get(digest)
        if refused is not None and self._clock() < refused + _REFUSAL_SECONDS:
            LOGINS.labels("refused").inc()
            raise NotAuthenticated(scheme.error)

    async def _log_in(
        self, scheme: Scheme, presented: Presented, digest: bytes, client_address: str
    ) -> Visitor[A]:
        try:
            async with self._limiter.attempt(client_address, presented.username):
                try:
                    admitted = await scheme.admit(presented)
                    account = await self._accounts.login(admitted.credentials, client_address)
                except (AuthenticationFailed, NotAuthenticated) as refusal:
                    await self._refused(digest, presented.username, client_address)
                    if isinstance(refusal, NotAuthenticated):
                        raise
                    raise NotAuthenticated(scheme.error) from None
        except TooManyAttempts:
            LOGINS.labels("limited").inc()
            raise
        except (ImapError, IssuerUnavailable):
            LOGINS.labels("unavailable").inc()
            raise
        LOGINS.labels("ok").inc()
        self._refusals.pop(digest, None)
        seconds = min(self._cache_seconds, admitted.access.seconds)
        login = _Login(admitted.credentials.username, self._clock() + seconds, admitted.access)
        _put(self._logins, digest, login)
        return Visitor(account, admitted.access)

    async def _refused(self, digest: bytes, username: str, client_address: str) -> None:
        LOGINS.labels("refused").inc()
        now = self._clock()
        if now >= self._refusals.get(digest, -_SAME_GUESS_SECONDS) + _SAME_GUESS_SECONDS:
            await self._limiter.failed(client_address, username)
        _put(self._refusals, digest, now)

    def _digest(self, scheme: Scheme, presented: Presented) -> bytes:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (scheme.name.encode(), *(secret.encode() for secret in presented.secrets)):
            mac.update(len(part).to_bytes(8))
            mac.update(part)
        return mac.digest()


V = TypeVar("V")


def _put(cache: OrderedDict[bytes, V], digest: bytes, value: V) -> None:
    """Remember the value; what was not used for longest gives way."""
    cache[digest] = value
    cache.move_to_end(digest)
    while len(cache) > _CAPACITY:
        cache.popitem(last=False)
