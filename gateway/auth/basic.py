"""RFC 7617: HTTP Basic authentication, judged by the mail server.

A login at the mail server costs milliseconds and a connection, so its verdict is remembered under
a keyed hash of the credentials: for minutes when it was yes, for seconds when it was no. The key
lives as long as the process and the password only as long as the login.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from gateway.auth.errors import NotAuthenticated, TooManyAttempts
from gateway.auth.limiter import FailureLimiter
from gateway.auth.username import canonical_username, has_control
from gateway.imap.errors import AuthenticationFailed, ImapError
from gateway.obs.metrics import LOGINS

# A wrong password is not asked about again for this long, should the client insist on it.
_REFUSAL_SECONDS = 10.0
# The same wrong password is one guess, however often a forgotten client repeats it meanwhile.
_SAME_GUESS_SECONDS = 24 * 3600.0
# Verdicts remembered, each some 300 octets.
_CAPACITY = 50_000

A = TypeVar("A", covariant=True)


class Accounts(Protocol[A]):
    """What knows the users: the accounts of the mail server."""

    async def login(self, username: str, password: str, client_address: str) -> A:
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


class Basic(Generic[A]):
    """Finds the account of an Authorization header; one per process.

    `clock` gives seconds that never go back.
    """

    def __init__(
        self,
        accounts: Accounts[A],
        limiter: FailureLimiter,
        *,
        cache_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._limiter = limiter
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._logins: OrderedDict[bytes, _Login] = OrderedDict()
        self._refusals: OrderedDict[bytes, float] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[A]] = {}

    async def authenticate(self, authorization: str | None, client_address: str) -> A:
        """The account for the value of an Authorization header (None: there was none).

        Raises NotAuthenticated, TooManyAttempts (the mail server was not asked), or an ImapError
        when the mail server can not be asked.
        """
        username, password = parse(authorization)
        digest = self._digest(username, password)
        if (account := self._remembered(digest)) is not None:
            LOGINS.labels("cached").inc()
            return account
        if digest not in self._under_way:
            self._refuse_again(digest)
            task = asyncio.create_task(self._log_in(digest, username, password, client_address))
            self._under_way[digest] = task
            task.add_done_callback(lambda done: self._finished(digest, done))
        # One client that goes away must not take the login from the others who wait for it.
        return await asyncio.shield(self._under_way[digest])

    def recognise(self, authorization: str | None) -> str | None:
        """The user whom the mail server let in with these credentials once, as far as is known.

        That may be long ago: it says who comes back to what is open to that user still, and opens
        nothing. The account need not be in memory. Raises NotAuthenticated.
        """
        login = self._logins.get(self._digest(*parse(authorization)))
        return login.username if login is not None else None

    def forget(self, username: str) -> None:
        """Ask the mail server again for this user: it refused what it had accepted before."""
        for digest in [d for d, login in self._logins.items() if login.username == username]:
            del self._logins[digest]

    def _finished(self, digest: bytes, task: asyncio.Task[A]) -> None:
        del self._under_way[digest]
        if not task.cancelled():
            task.exception()  # taken note of, should everybody who waited have gone

    def _remembered(self, digest: bytes) -> A | None:
        login = self._logins.get(digest)
        if login is None:
            return None
        if login.until <= self._clock():
            return None
        account = self._accounts.get(login.username)
        if account is not None:
            self._logins.move_to_end(digest)
        return account

    def _refuse_again(self, digest: bytes) -> None:
        refused = self._refusals.get(digest)
        if refused is not None and self._clock() < refused + _REFUSAL_SECONDS:
            LOGINS.labels("refused").inc()
            raise NotAuthenticated

    async def _log_in(self, digest: bytes, username: str, password: str, client_address: str) -> A:
        try:
            async with self._limiter.attempt(client_address, username):
                try:
                    account = await self._accounts.login(username, password, client_address)
                except AuthenticationFailed:
                    await self._refused(digest, username, client_address)
                    raise NotAuthenticated from None
        except TooManyAttempts:
            LOGINS.labels("limited").inc()
            raise
        except ImapError:
            LOGINS.labels("unavailable").inc()
            raise
        LOGINS.labels("ok").inc()
        self._refusals.pop(digest, None)
        _put(self._logins, digest, _Login(username, self._clock() + self._cache_seconds))
        return account

    async def _refused(self, digest: bytes, username: str, client_address: str) -> None:
        LOGINS.labels("refused").inc()
        now = self._clock()
        if now >= self._refusals.get(digest, -_SAME_GUESS_SECONDS) + _SAME_GUESS_SECONDS:
            await self._limiter.failed(client_address, username)
        _put(self._refusals, digest, now)

    def _digest(self, username: str, password: str) -> bytes:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (username.encode(), password.encode()):
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


def parse(authorization: str | None) -> tuple[str, str]:
    """The canonical user name and the password (RFC 7617 §2, charset UTF-8).

    Raises NotAuthenticated for any other scheme, and for what no user can have.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        raise NotAuthenticated
    try:
        pair = base64.b64decode(token.strip(" "), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise NotAuthenticated from None
    name, colon, password = pair.partition(":")
    username = canonical_username(name)
    if username is None or not colon or not password or has_control(password):
        raise NotAuthenticated
    return username, password
