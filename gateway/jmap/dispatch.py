"""RFC 8620 §3.3, §3.4, §3.10: runs the calls of a request, one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.jmap.envelope import Invocation, Request
from gateway.jmap.errors import MethodError
from gateway.jmap.limits import Limits
from gateway.jmap.references import Budget, Response, resolve
from gateway.jmap.registry import AccountRef, CallContext, Registry

# Says nothing about the exception: its text may carry what is no business of the client.
_UNEXPECTED = MethodError("serverFail", "An unexpected error occurred. It has been logged.")


@dataclass(frozen=True, slots=True)
class Context:
    """For whom and with what a request is run.

    `accounts` are those in the user's Session object, by account id, and `session_state` is its
    state. `on_error` is told every exception that no method should have let out.
    """

    accounts: Mapping[str, AccountRef]
    limits: Limits
    session_state: str
    registry: Registry
    on_error: Callable[[Exception, Invocation], None]


async def dispatch(request: Request, context: Context) -> dict[str, Any]:
    """The Response object (RFC 8620 §3.4). A call that fails does not stop those after it."""
    opened = context.registry.opened(request.using)
    call = CallContext(context.accounts, context.limits, dict(request.created_ids or {}))
    budget = Budget(context.limits)
    responses: list[Response] = []
    for invocation in request.calls:
        name = invocation.name
        try:
            run = context.registry.method(name, opened)
            arguments = await run(call, resolve(invocation.arguments, responses, budget))
        except MethodError as error:
            name, arguments = "error", error.arguments()
        except Exception as error:
            context.on_error(error, invocation)
            name, arguments = "error", _UNEXPECTED.arguments()
        responses.append((name, arguments, invocation.call_id))
    response: dict[str, Any] = {
        "methodResponses": responses,
        "sessionState": context.session_state,
    }
    if request.created_ids is not None:
        response["createdIds"] = call.created_ids
    return response
