"""RFC 8620 §3: POST of a Request object, answered with a Response object."""

from __future__ import annotations

from aiohttp import web

from gateway.auth.slots import NoSlot, Slots
from gateway.http.body import Bodies, require_json
from gateway.http.services import Account, Services
from gateway.http.session import session_of
from gateway.jmap import ijson
from gateway.jmap.dispatch import Context, dispatch
from gateway.jmap.envelope import Invocation, parse_request
from gateway.jmap.errors import limit_exceeded
from gateway.jmap.registry import AccountRef
from gateway.obs.log import get_logger
from gateway.sync.turns import Turns

# Web mails send bursts of requests, and their users would see an error where a moment's wait does:
# so many of a user wait for their turn, so long at most.
_WAITING = 200
_WAIT_SECONDS = 30.0

log = get_logger(__name__)


class Api:
    """POST: method calls."""

    def __init__(self, services: Services) -> None:
        self._services = services
        limits = services.limits
        self._turns = Slots(
            running=limits.max_concurrent_requests, waiting=_WAITING, seconds=_WAIT_SECONDS
        )
        self._bodies = Bodies(limits.max_size_request)

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Check from the cheapest to the dearest; the body is read when its turn has come."""
        account = await self._services.authenticate(request)
        require_json(request)
        try:
            async with (
                self._turns.slot(account.id),
                self._bodies.body(request, account.id) as body,
            ):
                answer = await self._answer(body, account, request)
        except NoSlot:
            raise limit_exceeded(
                "maxConcurrentRequests", "Too many requests of this user are waiting."
            ) from None
        return web.Response(body=answer, content_type="application/json")

    async def _answer(self, body: bytes, account: Account, request: web.Request) -> bytes:
        services = self._services
        limits = services.limits
        value = ijson.decode(
            body, max_depth=limits.max_json_depth, max_values=limits.max_json_values
        )
        parsed = parse_request(value, limits, services.registry.capabilities)
        capabilities = frozenset(services.account_capabilities(account))
        context = Context(
            accounts={account.id: AccountRef(account, capabilities, services.is_read_only)},
            limits=limits,
            session_state=session_of(services, account, request)["state"],
            registry=services.registry,
            on_error=_log_error,
            give_turn=Turns().give,
        )
        return b"".join(await dispatch(parsed, context))


def _log_error(error: Exception, invocation: Invocation) -> None:
    """Log what a method should not have let out; its name is one of the registry's."""
    log.error("unexpected error", method=invocation.name, exc_info=error)
