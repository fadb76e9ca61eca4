"""RFC 8620 §3.3, §5.3: what a method call knows beyond its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.jmap.errors import MethodError, invalid_arguments
from gateway.jmap.limits import Limits

CORE: Final = "urn:ietf:params:jmap:core"
WEBSOCKET: Final = "urn:ietf:params:jmap:websocket"


@dataclass(frozen=True, slots=True)
class AccountRef:
    """An account that the user may use; `account` is what the types' own functions get.

    `capabilities` are those of the account (RFC 8620 §2, accountCapabilities).
    """

    account: Any
    capabilities: frozenset[str]
    is_read_only: bool


@dataclass(frozen=True, slots=True)
class Call:
    """One method call of a request.

    `accounts` are those of the user, by id, the own one first. `created_ids` maps the creation ids
    of the request, of all types, to ids (RFC 8620 §3.3). `implied` are calls to be made right after
    this one, with its call id (RFC 8620 §5.4, RFC 8621 §7.5): names and arguments, in order.
    `opened` are the capabilities that the request may use. `answered` are to be called when it is
    certain that the client has got the answer to the request, which may be never.
    """

    accounts: Mapping[str, AccountRef]
    limits: Limits
    created_ids: dict[str, str]
    implied: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    opened: frozenset[str] = frozenset()
    answered: list[Callable[[], None]] = field(default_factory=list)

    @property
    def own(self) -> tuple[str, AccountRef]:
        """The user's own account, which is the first of all, with its id."""
        return next(iter(self.accounts.items()))

    def resolve(self, id: str) -> str | None:
        """The id itself, or the one that "#creationId" stands for; None if nothing has it."""
        return self.created_ids.get(id[1:]) if id.startswith("#") else id

    def note_created(self, creation_id: str, id: str) -> None:
        """Let the creation id stand for `id` in all that follows; the newest counts."""
        self.created_ids[creation_id] = id

    def imply(self, name: str, arguments: dict[str, Any]) -> None:
        """Have the method `name` called right after this one, if this one succeeds."""
        self.implied.append((name, arguments))

    def account(
        self, arguments: Mapping[str, Any], capability: str, *, writes: bool = False
    ) -> AccountRef:
        """The account that the argument `accountId` names; with `writes`, to change it.

        Raises MethodError invalidArguments, accountNotFound, accountNotSupportedByMethod or
        accountReadOnly.
        """
        reference = self._account(
            arguments, "accountId", capability, "accountNotFound", "accountNotSupportedByMethod"
        )
        if writes and reference.is_read_only:
            raise MethodError("accountReadOnly")
        return reference

    def from_account(self, arguments: Mapping[str, Any], capability: str) -> AccountRef:
        """The account that the argument `fromAccountId` names, another than `accountId` does.

        Raises MethodError invalidArguments, fromAccountNotFound or
        fromAccountNotSupportedByMethod (RFC 8620 §5.4).
        """
        reference = self._account(
            arguments,
            "fromAccountId",
            capability,
            "fromAccountNotFound",
            "fromAccountNotSupportedByMethod",
        )
        if arguments["fromAccountId"] == arguments.get("accountId"):
            raise invalid_arguments('"fromAccountId" must be another account than "accountId".')
        return reference

    def _account(
        self,
        arguments: Mapping[str, Any],
        argument: str,
        capability: str,
        not_found: str,
        not_supported: str,
    ) -> AccountRef:
        account_id = arguments.get(argument)
        if not isinstance(account_id, str):
            raise invalid_arguments(f'The argument "{argument}" must be given, of type Id.')
        reference = self.accounts.get(account_id)
        if reference is None:
            raise MethodError(not_found)
        # Every account has core, and no account lists it (RFC 8620 §2).
        if capability != CORE and capability not in reference.capabilities:
            raise MethodError(not_supported)
        return reference
