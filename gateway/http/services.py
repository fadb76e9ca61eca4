"""RFC 8620 §2: what the endpoints need from the layers below."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from gateway.auth.basic import Basic
from gateway.config import ServerConfig
from gateway.http.forwarded import client_address
from gateway.jmap.limits import Limits
from gateway.jmap.registry import Registry


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

    async def fresh(self) -> object:
        """Return when the states are those of a moment ago at most. Raises ImapError."""
        ...

    def states(self) -> Mapping[str, str]:
        """The states of all data types, by name (RFC 8620 §7.1), as they are now."""
        ...

    def watch(self) -> AbstractContextManager[Listener]:
        """Learn of changes as they happen, inside the block."""
        ...


class Listener(Protocol):
    """Whoever waits for changes of an account."""

    async def wait(self) -> bool:
        """Return when states may have changed since the last wait; False: the account has ended.

        The first wait counts from the begin of watching.
        """
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

    `capabilities` are those of the server besides core; `account_capabilities` gives an account's.
    `is_read_only` is the isReadOnly of every account. `open_blob` gives None for a blob that the
    account does not have, whoever else has it.
    """

    server: ServerConfig
    limits: Limits
    basic: Basic[Any]
    registry: Registry
    capabilities: Capabilities
    account_capabilities: Callable[[Any], Capabilities]
    is_read_only: bool
    open_blob: Callable[[Any, str], Awaitable[Blob | None]]

    async def authenticate(self, request: web.Request) -> Account:
        """The account of whoever sends the request.

        Raises NotAuthenticated, TooManyAttempts, or ImapError if the mail server can not say.
        """
        address = client_address(request, self.server.trusted_proxies)
        account: Account = await self.basic.authenticate(
            request.headers.get("Authorization"), address
        )
        return account
