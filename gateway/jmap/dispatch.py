"""RFC 8620 §3.3, §3.4, §3.10: runs the calls of a request, one after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.jmap import response
from gateway.jmap.envelope import Invocation, Request
from gateway.jmap.errors import MethodError, request_too_large
from gateway.jmap.limits import Limits
from gateway.jmap.references import Budget, Response, resolve
from gateway.jmap.registry import AccountRef, Call, Registry

# Says nothing about the exception: its text may carry what is no business of the client.
_UNEXPECTED = MethodError("serverFail", "An unexpected error occurred. It has been logged.")


@dataclass(frozen=True, slots=True)
class Context:
    """For whom and with what a request is run.

    `accounts` are those in the user's Session object, by account id, and `session_state` is its
    state. `on_error` is told every exception that no method should have let out. `give_turn` is
    awaited between steps of work that does not wait for anything by itself.
    """

    accounts: Mapping[str, AccountRef]
    limits: Limits
    session_state: str
    registry: Registry
    on_error: Callable[[Exception, Invocation], None]
    give_turn: Callable[[], Awaitable[None]]


async def dispatch(request: Request, context: Context) -> list[bytes]:
    """The Response object (RFC 8620 §3.4), encoded, in pieces.

    A call that fails does not stop those after it.
    """
    opened = context.registry.opened(request.using)
    call = Call(context.accounts, context.limits, dict(request.created_ids or {}))
    budget = Budget(context.limits)
    responses: list[Response] = []
    room = context.limits.max_size_response
    body = [response.START]
    for invocation in request.calls:
        name = invocation.name
        try:
            run = context.registry.method(name, opened)
            arguments = await run(call, resolve(invocation.arguments, responses, budget))
            encoded = await _encoded(name, arguments, invocation.call_id, room, context)
        except MethodError as error:
            name, arguments = "error", error.arguments()
            encoded = [*response.invocation(name, arguments, invocation.call_id)]
        except Exception as error:
            context.on_error(error, invocation)
            name, arguments = "error", _UNEXPECTED.arguments()
            encoded = [*response.invocation(name, arguments, invocation.call_id)]
        body += [b","] * bool(responses) + encoded
        room -= sum(map(len, encoded))
        responses.append((name, arguments, invocation.call_id))
    created_ids = call.created_ids if request.created_ids is not None else None
    body.append(response.end(context.session_state, created_ids))
    return body


async def _encoded(
    name: str, arguments: dict[str, Any], call_id: str, room: int, context: Context
) -> list[bytes]:
    """An answer in pieces. Raises MethodError requestTooLarge beyond `room` octets."""
    pieces = []
    for piece in response.invocation(name, arguments, call_id):
        pieces.append(piece)
        room -= len(piece)
        if room < 0:
            raise request_too_large("The answers together are too large; ask for fewer objects.")
        await context.give_turn()
    return pieces
