"""RFC 8620 §3.3: Request objects are run the same way, whichever endpoint they come to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from aiohttp import web

from gateway.auth.access import Visitor
from gateway.auth.slots import NoSlot, Slots
from gateway.http.body import Bodies
from gateway.http.services import Account, Services, Share
from gateway.http.session import session_of
from gateway.http.uninterrupted import Uninterrupted
from gateway.jmap import ijson
from gateway.jmap.dispatch import Context, dispatch
from gateway.jmap.envelope import Invocation, Request, parse_request
from gateway.jmap.errors import limit_exceeded
from gateway.jmap.registry import AccountRef
from gateway.obs.log import get_logger
from gateway.sync.budgets import Kind
from gateway.sync.trust import one_request
from gateway.sync.turns import Turns

# Web mails send bursts of requests, and their users would see an error where a moment's wait does:
# so many of a user wait for their turn, so long at most.
_WAITING = 200
_WAIT_SECONDS = 30.0

# RFC 8620 §3.6.1, §5.4: what names an account.
_ACCOUNT_ARGUMENTS = ("accountId", "fromAccountId")

log = get_logger(__name__)


class Answer(NamedTuple):
    """The Response object, in pieces, and what is to be called when the client has certainly it."""

    pieces: list[bytes]
    answered: Sequence[Callable[[], None]]


class Calls:
    """Runs requests; one for all endpoints, so that a user's share of them is one, too."""

    def __init__(self, services: Services) -> None:
        self._services = services
        limits = services.limits
        self._turns = Slots(
            running=limits.max_concurrent_requests, waiting=_WAITING, seconds=_WAIT_SECONDS
        )
        self._writes = Uninterrupted()
        self.bodies = Bodies(limits.max_size_request)

    async def run(
        self,
        request: web.Request,
        visitor: Visitor[Account],
        held: AsyncExitStack,
        receive: Callable[[], Awaitable[Any]],
    ) -> Answer:
        """Answer what `receive` gives when it is the user's turn: the decoded Request object.

        `request` is what came over HTTP. Everything `held` is given back at the end of the work,
        which may be after the end of this. Raises RequestError, OverBudget,
        ImapError, and what `receive` does.
        """
        services = self._services
        await services.budgets.spend(Kind.REQUESTS, visitor.account.id)
        await self._turn(visitor.account, held)
        parsed = parse_request(await receive(), services.limits, services.registry.capabilities)
        with one_request():
            context = await self._context(visitor, parsed, request)
            work = dispatch(parsed, context)
            if services.registry.writes(call.name for call in parsed.calls):
                pieces = await self._writes.run(work, held.pop_all())
            else:
                pieces = await work
        return Answer(pieces, context.answered)

    def decode(self, octets: bytes) -> Any:
        """The JSON value. Raises RequestError notJSON, or limit (maxSizeRequest)."""
        limits = self._services.limits
        return ijson.decode(
            octets, max_depth=limits.max_json_depth, max_values=limits.max_json_values
        )

    async def close(self, app: web.Application) -> None:
        """Let what changes something come to its end, when the server stops."""
        await self._writes.close(app)

    async def _turn(self, account: Account, held: AsyncExitStack) -> None:
        try:
            await held.enter_async_context(self._turns.slot(account.id))
        except NoSlot:
            raise limit_exceeded(
                "maxConcurrentRequests", "Too many requests of this user are waiting."
            ) from None

    async def _context(
        self, visitor: Visitor[Account], parsed: Request, request: web.Request
    ) -> Context:
        services = self._services
        shares = await services.accounts.shared(visitor.account)
        return Context(
            accounts=await self._accounts(visitor, shares, parsed),
            limits=services.limits,
            session_state=session_of(services, visitor, shares, request)["state"],
            registry=services.registry,
            on_error=_log_error,
            give_turn=Turns().give,
        )

    async def _accounts(
        self, visitor: Visitor[Account], shares: Mapping[str, Share], parsed: Request
    ) -> dict[str, AccountRef]:
        """The accounts that the calls may be about; of those shared, only what they name."""
        services, own = self._services, visitor.account
        must_only_read = visitor.access.is_read_only
        accounts = {own.id: self._reference(own, own, is_read_only=must_only_read)}
        for account_id in _named(parsed.calls, shares):
            share = shares[account_id]
            account = await services.accounts.open(own, account_id)
            if account is not None:
                accounts[account_id] = self._reference(
                    account, share, is_read_only=share.is_read_only or must_only_read
                )
        return accounts

    def _reference(
        self, account: Account, described: Account | Share, *, is_read_only: bool
    ) -> AccountRef:
        capabilities = frozenset(self._services.account_capabilities(described))
        return AccountRef(account, capabilities, is_read_only)


def _named(calls: Iterable[Invocation], shares: Mapping[str, Share]) -> list[str]:
    """Ids of shared accounts that the calls name, or might by a reference to another's result."""
    named: list[object] = []
    for call in calls:
        for argument in _ACCOUNT_ARGUMENTS:
            if f"#{argument}" in call.arguments:
                return [*shares]
            named.append(call.arguments.get(argument))
    return [account_id for account_id in shares if account_id in named]


def _log_error(error: Exception, invocation: Invocation) -> None:
    """Log what a method should not have let out; its name is one of the registry's."""
    log.error("unexpected error", method=invocation.name, exc_info=error)
