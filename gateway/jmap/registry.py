"""RFC 8620 §3.3, §3.6.2: which methods there are, and which of them a request may use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.jmap.arguments import check
from gateway.jmap.call import CORE, WEBSOCKET, AccountRef, Call
from gateway.jmap.errors import MethodError, invalid_arguments, quoted
from gateway.jmap.methods.changes import changes
from gateway.jmap.methods.copy import copy
from gateway.jmap.methods.get import get
from gateway.jmap.methods.query import query
from gateway.jmap.methods.query_changes import query_changes
from gateway.jmap.methods.set import set_
from gateway.jmap.spec import ACCOUNT_ID, DataType, Special

__all__ = ["AccountRef", "Call", "Method", "Registry", "Run"]

# RFC 8620 §1.8 wants each capability named in `using`. Mail clients in use send mail through the
# mail capability alone, so that one opens the family they work with.
_OPENS: Final[Mapping[str, frozenset[str]]] = {
    "urn:ietf:params:jmap:mail": frozenset(
        {
            "urn:ietf:params:jmap:submission",
            "urn:ietf:params:jmap:vacationresponse",
            "urn:ietf:params:jmap:quota",
            "urn:ietf:params:jmap:blob",
        }
    )
}

# What a type has no use for whose objects are in no account.
_OF_ACCOUNTS: Final = frozenset({"accountId", "ifInState", "state", "oldState", "newState"})

Run = Callable[[Call, dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Method:
    """A method that is available to requests which use `capability`.

    `run` returns the arguments of the response and raises MethodError. `writes` says that it may
    change something; what it began is to be brought to its end.
    """

    name: str
    capability: str
    run: Run
    writes: bool = False


class Registry:
    """All methods of the server: those derived from `types`, and `methods` besides.

    `capabilities` are the URIs that a request may name in `using`. Raises ValueError if two
    methods have the same name.
    """

    def __init__(self, types: Iterable[DataType], methods: Iterable[Method] = ()) -> None:
        self._methods: dict[str, Method] = {}
        for method in (*(m for t in types for m in _derived(t)), *methods):
            if method.name in self._methods:
                raise ValueError(f"the method {method.name} is declared twice")
            self._methods[method.name] = method
        self.capabilities = frozenset(
            {CORE, WEBSOCKET, *(m.capability for m in self._methods.values())}
        )

    def opened(self, using: frozenset[str]) -> frozenset[str]:
        """The capabilities whose methods a request with this `using` may call.

        Core comes with any other; an empty `using` opens nothing.
        """
        opened = using.union(*(_OPENS.get(uri, frozenset()) for uri in using))
        return opened | {CORE} if opened else opened

    def writes(self, names: Iterable[str]) -> bool:
        """Whether any of the methods of these names may change something."""
        return any(name in self._methods and self._methods[name].writes for name in names)

    def method(self, name: str, opened: frozenset[str]) -> Method:
        """The method of that name; MethodError unknownMethod if there or opened is none."""
        method = self._methods.get(name)
        if method is None or method.capability not in opened:
            raise MethodError("unknownMethod")
        return method


def _derived(data_type: DataType) -> Iterable[Method]:
    """The methods that `data_type` declares: the standard ones of RFC 8620 §5, then its own."""
    if data_type.get is not None:
        yield _standard(data_type, "get", get)
    if data_type.changes is not None:
        yield _standard(data_type, "changes", changes)
    if data_type.query is not None:
        yield _standard(data_type, "query", query)
        if data_type.query.changes is not None:
            yield _standard(data_type, "queryChanges", query_changes)
    if data_type.set is not None:
        yield _writing(data_type, "set", set_)
    if data_type.copy is not None:
        yield _writing(data_type, "copy", copy)
    for special in data_type.special:
        yield _special(data_type, special)


Derived = Callable[[DataType, Any, dict[str, Any], Call], Awaitable[dict[str, Any]]]


def _standard(data_type: DataType, verb: str, method: Derived) -> Method:
    if data_type.of_user:
        return _of_user(data_type, verb, method)

    async def run(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
        reference = call.account(arguments, data_type.capability)
        return await method(data_type, reference.account, arguments, call)

    return Method(f"{data_type.name}/{verb}", data_type.capability, run)


def _writing(data_type: DataType, verb: str, method: Derived) -> Method:
    if data_type.of_user:
        return _of_user(data_type, verb, method, writes=True)

    async def run(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
        reference = call.account(arguments, data_type.capability, writes=True)
        return await method(data_type, reference.account, arguments, call)

    return Method(f"{data_type.name}/{verb}", data_type.capability, run, writes=True)


def _of_user(data_type: DataType, verb: str, method: Derived, *, writes: bool = False) -> Method:
    """RFC 8620 §7.2.1, §7.2.2: the method without what has to do with an account."""

    async def run(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
        if foreign := _OF_ACCOUNTS & arguments.keys():
            raise invalid_arguments(f"There are no arguments {quoted(sorted(foreign))}.")
        account_id, reference = call.own
        given = {"accountId": account_id, **arguments}
        answer = await method(data_type, reference.account, given, call)
        return {name: value for name, value in answer.items() if name not in _OF_ACCOUNTS}

    return Method(f"{data_type.name}/{verb}", data_type.capability, run, writes)


def _special(data_type: DataType, special: Special) -> Method:
    async def run(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
        reference = call.account(arguments, data_type.capability, writes=special.writes)
        checked = check(arguments, (ACCOUNT_ID, *special.arguments))
        answer = await special.run(reference.account, checked, call)
        return {"accountId": checked["accountId"], **answer}

    return Method(f"{data_type.name}/{special.verb}", data_type.capability, run, special.writes)
