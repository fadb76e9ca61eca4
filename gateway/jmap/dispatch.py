"""RFC 8620 §3.3, §3.4, §3.10: runs the calls of a request, one after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.jmap import response
from gateway.jmap.envelope import Invocation, Request
from gateway.jmap.errors import MethodError, request_too_large
from gateway.jmap.limits import Limits
from gateway.jmap.references import Budget, Response, resolve
from gateway.jmap.registry import AccountRef, Call, Registry

# Says nothing about the exception: its text may carry what is no business of the client.
_UNEXPECTED = MethodError("serverFail", "An unexpected error occurred. It has been logged.")
# serverFail would say that nothing was changed.
_UNEXPECTED_IN_WRITING = MethodError("serverPartialFail", _UNEXPECTED.description)

# Names and arguments of calls.
Implied = Sequence[tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Context:
    """For whom and with what a request is run.

    `accounts` are those in the user's Session object, by account id, the own one first, and
    `session_state` is its state. `on_error` is told every exception that no method should have let
    out. `give_turn` is awaited between steps of work that does not wait for anything by itself.
    `answered` takes what is to be called when the client has certainly got its answer.
    """

    accounts: Mapping[str, AccountRef]
    limits: Limits
    session_state: str
    registry: Registry
    on_error: Callable[[Exception, Invocation], None]
    give_turn: Callable[[], Awaitable[None]]
    answered: list[Callable[[], None]] = field(default_factory=list)


async def dispatch(request: Request, context: Context) -> list[bytes]:
    """The Response object (RFC 8620 §3.4), encoded, in pieces.

    A call that fails does not stop those after it.
    """
    opened = context.registry.opened(request.using)
    run = _Run(request, context, opened)
    for invocation in request.calls:
        implied = await run.answer(invocation, opened)
        for name, arguments in implied:
            # Made by a method that the client may use, not by the client.
            everything = context.registry.capabilities
            await run.answer(Invocation(name, arguments, invocation.call_id), everything)
    return run.response()


class _Run:
    """A request under way, and its response so far."""

    def __init__(self, request: Request, context: Context, opened: frozenset[str]) -> None:
        self._context = context
        created_ids = dict(request.created_ids or {})
        self._call = Call(
            context.accounts,
            context.limits,
            created_ids,
            opened=opened,
            answered=context.answered,
        )
        self._sends_created_ids = request.created_ids is not None
        self._budget = Budget(context.limits)
        self._responses: list[Response] = []
        self._room = context.limits.max_size_response
        self._body = [response.START]

    async def answer(self, invocation: Invocation, opened: frozenset[str]) -> Implied:
        """Make a call and add its response; gives the calls that it implies."""
        call = replace(self._call, implied=[])
        writes = self._context.registry.writes([invocation.name])
        try:
            method = self._context.registry.method(invocation.name, opened)
            arguments = resolve(invocation.arguments, self._responses, self._budget)
            answer = await method.run(call, arguments)
            encoded = await self._encoded(invocation, answer, bounded=not writes)
        except MethodError as error:
            self._fail(invocation, error)
            return ()
        except Exception as error:
            self._context.on_error(error, invocation)
            self._fail(invocation, _UNEXPECTED_IN_WRITING if writes else _UNEXPECTED)
            return ()
        self._add(invocation.name, answer, invocation.call_id, encoded)
        return call.implied

    def response(self) -> list[bytes]:
        """The whole response."""
        created_ids = self._call.created_ids if self._sends_created_ids else None
        return [*self._body, response.end(self._context.session_state, created_ids)]

    def _fail(self, invocation: Invocation, error: MethodError) -> None:
        arguments = error.arguments()
        encoded = [*response.invocation("error", arguments, invocation.call_id)]
        self._add("error", arguments, invocation.call_id, encoded)

    def _add(
        self, name: str, arguments: dict[str, Any], call_id: str, encoded: list[bytes]
    ) -> None:
        self._body += [b","] * bool(self._responses) + encoded
        self._room -= sum(map(len, encoded))
        self._responses.append((name, arguments, call_id))

    async def _encoded(
        self, invocation: Invocation, answer: dict[str, Any], *, bounded: bool
    ) -> list[bytes]:
        """An answer in pieces. Raises MethodError requestTooLarge for what finds no more room.

        What was changed is told in any case; it is no more than a client may change.
        """
        room = self._room
        pieces = []
        for piece in response.invocation(invocation.name, answer, invocation.call_id):
            pieces.append(piece)
            room -= len(piece)
            if bounded and room < 0:
                raise request_too_large(
                    "The answers together are too large; ask for fewer objects."
                )
            await self._context.give_turn()
        return pieces
