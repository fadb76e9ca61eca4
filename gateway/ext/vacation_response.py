"""RFC 8621 §8: VacationResponse: what is answered to mail while its reader is away.

The mail server answers, by a Sieve script (RFC 5230) that has the values in it, also while there is
no answer to be given. It follows RFC 3834: nobody is answered twice in some days, and no list.
A script of the user that is in force stays so; see gateway.sieve.installation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, Final, TypeAlias

from gateway.ext.sieve import VACATION, changing, sieve_of
from gateway.ext.sieve_errors import FAILURES, Failure, said, set_error
from gateway.jmap.errors import SetError
from gateway.jmap.kinds import BOOLEAN, STRING, UTC_DATE, nullable
from gateway.jmap.limits import Limits
from gateway.jmap.settable import Change, Set, Settable
from gateway.jmap.spec import DataType, Get, GetRequest, GetResult, Property
from gateway.mail.backend import backend, backend_errors
from gateway.managesieve.errors import ScriptInvalid
from gateway.mime.compose_field import Unwritable
from gateway.sieve.installation import State, Unsupported
from gateway.sieve.vacation import Vacation
from gateway.sync.account import Account
from gateway.sync.scripts import Scripts
from gateway.sync.sieve_writing import SieveWriting

Addresses: TypeAlias = Callable[[Account], Awaitable[Sequence[str]]]
"""Under which addresses a user gets mail. May raise what the methods of the types do."""

_ID: Final = "singleton"
_SECONDS: Final = 1.0
_SCRIPT: Final = frozenset({"script"})
_NAMES: Final = {
    "isEnabled": "is_enabled",
    "fromDate": "from_date",
    "toDate": "to_date",
    "subject": "subject",
    "textBody": "text_body",
    "htmlBody": "html_body",
}


async def login_address(account: Account) -> Sequence[str]:
    """The address that a user logs in with, if it is one."""
    return [account.username] if "@" in account.username else []


def _record(vacation: Vacation) -> dict[str, Any]:
    values = {name: getattr(vacation, attribute) for name, attribute in _NAMES.items()}
    return {"id": _ID, **values}


@backend
async def load(account: Account, request: GetRequest) -> GetResult:
    """RFC 8621 §8.1."""
    scripts = await sieve_of(account).fresh(_SECONDS)
    record = _record(scripts.in_force.vacation)
    wanted = {name: value for name, value in record.items() if name in request.properties}
    return GetResult(scripts.vacation_state, {_ID: wanted})


class VacationSetting:
    """A VacationResponse/set under way; see gateway.jmap.settable.Setting."""

    def __init__(self, account: Account, held: SieveWriting, addresses: Addresses) -> None:
        self._account = account
        self._held = held
        self._addresses = addresses

    @property
    def _scripts(self) -> Scripts:
        return self._held.scripts

    @property
    def state(self) -> str:
        """The state of the VacationResponse type."""
        return self._scripts.vacation_state

    async def current(
        self, ids: Sequence[str], properties: frozenset[str]
    ) -> dict[str, dict[str, Any]]:
        """What VacationResponse/get shows."""
        record = _record(self._scripts.in_force.vacation)
        return {id_: {n: record[n] for n in properties} for id_ in ids if id_ == _ID}

    async def create(
        self, objects: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any] | SetError]:
        """RFC 8620 §5.3: there is one, and there can be no other."""
        return {name: _only_one() for name in objects}

    async def destroy(self, ids: Sequence[str]) -> dict[str, SetError | None]:
        """RFC 8620 §5.3: nor none."""
        return {id_: _only_one() if id_ == _ID else SetError("notFound") for id_ in ids}

    @backend
    async def update(
        self, changes: dict[str, Change]
    ) -> dict[str, dict[str, Any] | SetError | None]:
        """Have the answer given, or not, beside the user's script in force."""
        return {id_: await self._update(change.after) for id_, change in changes.items()}

    async def _update(self, after: Mapping[str, Any]) -> SetError | None:
        changed = {_NAMES[name]: value for name, value in after.items()}
        vacation = replace(self._scripts.in_force.vacation, **changed, addresses=())
        if vacation != Vacation():  # of what is as if nothing had been set, nothing is kept
            vacation = replace(vacation, addresses=tuple(await self._addresses(self._account)))
        try:
            await self._held.install(lambda now: State(vacation, now.script))
        except Unwritable as error:
            return SetError("invalidProperties", str(error), properties=("subject",))
        except FAILURES as error:
            return _set_error(error, after)
        return None


def _only_one() -> SetError:
    return SetError("singleton", "There is exactly one VacationResponse.")


def _set_error(error: Failure, after: Mapping[str, Any]) -> SetError:
    if isinstance(error, Unsupported) and "vacation" not in error.extensions:
        dates = [name for name in ("fromDate", "toDate") if name in after]
        text = "The server's Sieve knows no dates, so a response can have none."
        return SetError("invalidProperties", text, properties=dates)
    if isinstance(error, ScriptInvalid):
        return SetError("invalidProperties", said(error.text), properties=after)
    return set_error(error)


def _opening(
    addresses: Addresses,
) -> Callable[[Account, dict[str, Any], Limits], AbstractAsyncContextManager[VacationSetting]]:
    @asynccontextmanager
    async def open_set(
        account: Account, _arguments: dict[str, Any], _limits: Limits
    ) -> AsyncIterator[VacationSetting]:
        """Begin a VacationResponse/set. Raises MethodError serverUnavailable."""
        with backend_errors():
            async with changing(account) as held:
                yield VacationSetting(account, held, addresses)

    return open_set


def vacation_response(addresses: Addresses) -> DataType:
    """The type; RFC 5230 §4.5: mail to other addresses than these is answered by no script."""
    date, text = nullable(UTC_DATE), nullable(STRING)
    return DataType(
        "VacationResponse",
        VACATION,
        "RFC 8621 §8",
        properties=(
            Property("isEnabled", _SCRIPT, settable=Settable(BOOLEAN, initial=False)),
            Property("fromDate", _SCRIPT, settable=Settable(date, initial=None)),
            Property("toDate", _SCRIPT, settable=Settable(date, initial=None)),
            Property("subject", _SCRIPT, settable=Settable(text, initial=None)),
            Property("textBody", _SCRIPT, settable=Settable(text, initial=None)),
            Property("htmlBody", _SCRIPT, settable=Settable(text, initial=None)),
        ),
        get=Get(load, sources=_SCRIPT),
        set=Set(_opening(addresses)),
    )
