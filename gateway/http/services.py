"""RFC 8620 §2: what the endpoints need from the layers below."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web

from gateway.auth.access import Access, Visitor
from gateway.auth.authenticator import Authenticator
from gateway.auth.tickets import Tickets
from gateway.config import ServerConfig
from gateway.http.authorization import AuthorizationServer
from gateway.http.challenge import Challenges
from gateway.http.forwarded import client_address
from gateway.jmap.limits import Limits
from gateway.jmap.registry import Registry
from gateway.push.telling import Following
from gateway.sync.budgets import Budgets

EVENT_SOURCE: Final = "/jmap/eventsource"
"""The path that tickets are for."""


class Uploads(Protocol):
    """The uploads of a user to one account (RFC 8620 §6.1)."""

    async def receive(self, media_type: str, chunks: AsyncIterable[bytes], limit: int) -> Upload:
        """Keep the octets. Raises UploadTooLarge, NotCommitted, and what `chunks` raises."""
        ...


class Upload(Protocol):
    """Octets that are kept; `size` is how many."""

    @property
    def blob_id(self) -> str:
        """What they are called from now on."""
        ...

    @property
    def media_type(self) -> str:
        """What the client said they are."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...


class Account(Protocol):
    """A user's mail, once the mail server has let the user in."""

    @property
    def id(self) -> str:
        """The account id (RFC 8620 §1.6.2)."""
        ...

    @property
    def username(self) -> str:
        """The canonical user name."""
        ...

    @property
    def uploads(self) -> Uploads:
        """What the user has uploaded to the account."""
        ...


class Share(Protocol):
    """An account that others share with a user (RFC 8620 §1.6.2, §2)."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    @property
    def is_read_only(self) -> bool:
        """Whether nothing in it can be changed."""
        ...


class Accounts(Protocol):
    """The accounts of users, given a user's own one."""

    async def shared(self, account: Any, seconds: float | None = None) -> Mapping[str, Share]:
        """What others share with the user, by account id, as of so many seconds ago at most.

        By default what is known, if anything is. Raises ImapError.
        """
        ...

    async def open(self, account: Any, account_id: str) -> Account | None:
        """The account of that id: the user's own or a shared one; None if it is neither."""
        ...

    def follow(self, account: Any, was_told: Callable[[str], bool]) -> Following:
        """All accounts of the user; of `was_told` the client knows already. Raises NotCommitted."""
        ...

    def follow_known(self, username: str, was_told: Callable[[str], bool]) -> Following | None:
        """The same without the mail server, if somebody has listened for that user a moment ago."""
        ...


class Blob(Protocol):
    """RFC 8620 §6: immutable octets; `size` is None until they have been counted."""

    @property
    def size(self) -> int | None:
        """How many octets there are."""
        ...

    def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        """Octets [start, stop), read from the mail server as they are taken. Raises ImapError."""
        ...

    async def measure(self) -> int:
        """How many octets there are, counted if need be. Raises ImapError."""
        ...


Capabilities = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Services:
    """The endpoints' view of the gateway.

    `capabilities` gives those of the server besides core, for the user whose own account it is
    given; `account_capabilities` those of an account, or of what is shared. `open_blob` gives None
    for a blob that the account does not have, whoever else has it. `authorization`: who
    issues access tokens, None if users have none.
    """

    server: ServerConfig
    limits: Limits
    authenticator: Authenticator[Any]
    registry: Registry
    capabilities: Callable[[Any], Capabilities]
    account_capabilities: Callable[[Any], Capabilities]
    accounts: Accounts
    open_blob: Callable[[Any, str], Awaitable[Blob | None]]
    tickets: Tickets
    challenges: Challenges
    budgets: Budgets
    authorization: AuthorizationServer | None = None

    async def authenticate(self, request: web.Request) -> Visitor[Account]:
        """Whoever sends the request.

        Raises NotAuthenticated, InsufficientScope, TooManyAttempts, or ImapError or
        IssuerUnavailable if those can not say who know.
        """
        return await self._authenticate(request, request.headers.get("Authorization"))

    async def _authenticate(
        self, request: web.Request, authorization: str | None
    ) -> Visitor[Account]:
        address = client_address(request, self.server.trusted_proxies)
        return await self.authenticator.authenticate(authorization, address)

    async def follow(
        self, request: web.Request, was_told: Callable[[str], bool], *, by_ticket: bool = False
    ) -> tuple[Following, Access]:
        """All accounts of whoever sends the request, and what may be done with them.

        All clients come back at once when a proxy was restarted: those who are known cost the mail
        server nothing. by_ticket: whether there may be a ticket in the URL, for want of a header.
        Raises what authenticate() raises, NotCommitted, and StoreError.
        """
        authorization = request.headers.get("Authorization")
        given = request.query.getall("ticket", [])
        if by_ticket and authorization is None and len(given) == 1:
            authorization = await self.tickets.take(given[0], EVENT_SOURCE)
        known = self._known(authorization, was_told)
        if known is not None:
            return known
        visitor = await self._authenticate(request, authorization)
        return self.accounts.follow(visitor.account, was_told), visitor.access

    async def user(self, request: web.Request) -> tuple[str, Access]:
        """The id of the own account of whoever sends the request; see follow()."""
        known = self._known(request.headers.get("Authorization"), lambda _: False)
        if known is not None:
            following, access = known
            return following.account_id, access
        visitor = await self.authenticate(request)
        return visitor.account.id, visitor.access

    def _known(
        self, authorization: str | None, was_told: Callable[[str], bool]
    ) -> tuple[Following, Access] | None:
        recognised = self.authenticator.recognise(authorization)
        if recognised is None:
            return None
        username, access = recognised
        following = self.accounts.follow_known(username, was_told)
        return (following, access) if following is not None else None

    async def account(self, own: Account, account_id: str) -> Account | None:
        """The account of that id, if whose own account this is may use it. Raises ImapError."""
        if account_id == own.id:
            return own
        await self.accounts.shared(own)
        return await self.accounts.open(own, account_id)
