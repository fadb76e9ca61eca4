"""RFC 8621 §6: the Identities of a user: those of the operator's, and what the user made besides.

The operator's can be given a name and signatures, but not destroyed. All that users make of theirs
is kept durably; an Identity of an address that was taken from a user is not shown any more.
"""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from secrets import token_hex
from typing import Any, Final

from gateway.ext.record_methods import changes as changes_of
from gateway.ext.submission.addresses import AddressBook, Owned, Permitted, folded, is_address
from gateway.jmap.errors import SetError, cannot_calculate_changes, invalid_properties
from gateway.jmap.limits import Limits
from gateway.jmap.settable import Change
from gateway.jmap.spec import ChangesRequest, ChangesResult, GetRequest, GetResult
from gateway.mail.backend import backend, backend_errors
from gateway.store.base import Durable
from gateway.sync.account import Account
from gateway.sync.records import Kept, Records, Value

MAX_IDENTITIES: Final = 100
MAX_SIGNATURE_OCTETS: Final = 64 * 1024
_MAX_NAME_OCTETS: Final = 255
_MAX_ADDRESSES: Final = 50
_TOO_MANY: Final = f"There may be at most {MAX_IDENTITIES} Identities."

_DEFAULTS: Final[Mapping[str, Any]] = {
    "name": "",
    "replyTo": None,
    "bcc": None,
    "textSignature": "",
    "htmlSignature": "",
}


@dataclass(frozen=True, slots=True)
class Held:
    """The Identities of a user as of one moment, as /get shows them, by id; own: those made."""

    state: str
    shown: Mapping[str, dict[str, Any]]
    own: frozenset[str]
    permitted: Permitted


class Identities:
    """The methods of Identity."""

    def __init__(self, durable: Durable, book: AddressBook) -> None:
        self._durable = durable
        self._book = book

    def records(self, account: Account) -> Records:
        """What a user has made, or changed."""
        return Records(self._durable, account.id, "identities")

    def permitted(self, account: Account) -> Permitted:
        """The addresses that a user may send from."""
        return Permitted(self._book.of(account.username))

    async def held(self, account: Account) -> Held:
        """All of a user. Raises NotCommitted."""
        return self.seen(account, await self.records(account).load())

    def seen(self, account: Account, kept: Kept) -> Held:
        """All of a user, given what is kept."""
        owned = self._book.of(account.username)
        permitted = Permitted(owned)
        shown: dict[str, dict[str, Any]] = {}
        for each in owned:
            id_ = _id(each.email)
            name = {"name": each.name}
            shown[id_] = _members(id_, {**name, **(kept.value(id_) or {})}, each.email, False)
        own = []
        for id_, record in kept.records.items():
            email = record.value.get("email")
            if email is not None and permitted.permits(email):
                shown[id_] = _members(id_, record.value, email, True)
                own.append(id_)
        return Held(f"{_digest(owned)}-{kept.state}", shown, frozenset(own), permitted)

    # --- methods ---------------------------------------------------------------------------------

    @backend
    async def load(self, account: Account, request: GetRequest) -> GetResult:
        """RFC 8621 §6.1."""
        held = await self.held(account)
        records = {
            id_: {name: members[name] for name in request.properties}
            for id_, members in held.shown.items()
        }
        return GetResult(held.state, records)

    @backend
    async def changes(self, account: Account, request: ChangesRequest) -> ChangesResult:
        """RFC 8621 §6.2; what the operator has changed since is not known one by one."""
        kept = await self.records(account).load()
        held = self.seen(account, kept)
        of_operator, _, state = request.since_state.partition("-")
        if of_operator != held.state.partition("-")[0]:
            raise cannot_calculate_changes("The state is not known.")
        result = changes_of(kept, ChangesRequest(state, request.max_changes))
        created = [id_ for id_ in result.created if id_ not in held.shown or id_ in held.own]
        changed = [id_ for id_ in result.created if id_ not in created]
        return ChangesResult(
            old_state=request.since_state,
            new_state=f"{of_operator}-{result.new_state}",
            has_more_changes=result.has_more_changes,
            created=created,
            updated=changed + result.updated,
            destroyed=result.destroyed,
        )

    @asynccontextmanager
    async def open_set(
        self, account: Account, _arguments: dict[str, Any], _limits: Limits
    ) -> AsyncIterator[IdentitySetting]:
        """Begin an Identity/set. Raises MethodError serverUnavailable."""
        with backend_errors():
            yield IdentitySetting(self, account, await self.held(account))


class IdentitySetting:
    """An Identity/set under way; see gateway.jmap.settable.Setting."""

    def __init__(self, identities: Identities, account: Account, held: Held) -> None:
        self._identities = identities
        self._account = account
        self._held = held

    @property
    def state(self) -> str:
        """The state of the type."""
        return self._held.state

    async def current(
        self, ids: Sequence[str], properties: frozenset[str]
    ) -> dict[str, dict[str, Any]]:
        """What Identity/get shows of those that there are."""
        shown = self._held.shown
        return {
            id_: {name: shown[id_][name] for name in ("id", *properties)}
            for id_ in ids
            if id_ in shown
        }

    @backend
    async def create(
        self, objects: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any] | SetError]:
        """Keep new Identities."""
        results: dict[str, dict[str, Any] | SetError] = {}
        new: dict[str, Value] = {}
        for creation_id, object_ in objects.items():
            try:
                self._check(object_)
                if len(self._held.own) + len(new) >= MAX_IDENTITIES:
                    raise SetError("overQuota", _TOO_MANY)
            except SetError as error:
                results[creation_id] = error
                continue
            id_ = "i" + token_hex(8)
            new[id_] = dict(object_)
            results[creation_id] = {"id": id_, "mayDelete": True}

        def edit(kept: Kept) -> Kept:
            for id_, value in new.items():
                kept = kept.put(id_, value)
            return kept

        await self._change(edit)
        return results

    @backend
    async def update(
        self, changes: dict[str, Change]
    ) -> dict[str, dict[str, Any] | SetError | None]:
        """Keep what users change of theirs, and of the operator's."""
        results: dict[str, dict[str, Any] | SetError | None] = {}
        new: dict[str, Value] = {}
        for id_, change in changes.items():
            try:
                self._check({**self._held.shown[id_], **change.after}, only=frozenset(change.after))
            except SetError as error:
                results[id_] = error
            else:
                new[id_] = change.after
                results[id_] = None

        def edit(kept: Kept) -> Kept:
            for id_, after in new.items():
                old = kept.value(id_)
                if old is None and id_ in self._held.own:  # destroyed meanwhile
                    results[id_] = SetError("notFound")
                    continue
                kept = kept.put(id_, {**(old or {}), **after})
            return kept

        await self._change(edit)
        return results

    @backend
    async def destroy(self, ids: Sequence[str]) -> dict[str, SetError | None]:
        """Forget Identities that the user made."""
        results: dict[str, SetError | None] = {}
        for id_ in ids:
            if id_ in self._held.own:
                results[id_] = None
            elif id_ in self._held.shown:
                results[id_] = SetError("forbidden", "This Identity comes from the mail service.")
            else:
                results[id_] = SetError("notFound")
        doomed = [id_ for id_, error in results.items() if error is None]

        def edit(kept: Kept) -> Kept:
            for id_ in doomed:
                kept = kept.without(id_)
            return kept

        await self._change(edit)
        return results

    async def _change(self, edit: Callable[[Kept], Kept]) -> None:
        before = self._held.state
        kept = await self._identities.records(self._account).change(edit)
        self._held = self._identities.seen(self._account, kept)
        if self._held.state != before:
            self._account.announce("Identity", self._held.state)

    def _check(self, object_: Mapping[str, Any], only: frozenset[str] | None = None) -> None:
        """Raises SetError invalidProperties with all that is wrong, or forbiddenFrom."""
        wrong = {name for name, test in _TESTS.items() if not test(object_[name])}
        if only is not None:
            wrong &= only
        if wrong:
            raise invalid_properties(wrong, "Too long, or with what no header field can have.")
        if only is None and not self._held.permitted.permits(object_["email"]):
            raise SetError("forbiddenFrom", "This address is not the user's to send from.")


def _members(id_: str, value: Mapping[str, Any], email: str, may_delete: bool) -> dict[str, Any]:
    kept = {name: value.get(name, default) for name, default in _DEFAULTS.items()}
    return {"id": id_, **kept, "email": email, "mayDelete": may_delete}


def _id(email: str) -> str:
    """That of an Identity of the operator's, the same as long as there is one of its address."""
    return "I" + blake2b(folded(email).encode(), digest_size=8, person=b"identity").hexdigest()


def _digest(owned: Sequence[Owned]) -> str:
    octets = repr([tuple(each) for each in owned]).encode()
    return blake2b(octets, digest_size=6, person=b"identities").hexdigest()


# --- what a header field, or a signature, can be -----------------------------------------------


def _is_line(value: str, most: int = _MAX_NAME_OCTETS) -> bool:
    """Whether a text is of one line, and not too long."""
    octets = value.encode("utf-8", "surrogatepass")
    return len(octets) <= most and not any(unicodedata.category(c) in ("Cc", "Cs") for c in value)


def _is_signature(value: str) -> bool:
    return len(value.encode("utf-8", "surrogatepass")) <= MAX_SIGNATURE_OCTETS


def _are_addresses(value: Any) -> bool:
    return value is None or (len(value) <= _MAX_ADDRESSES and all(map(_is_email_address, value)))


def _is_email_address(value: Any) -> bool:
    """RFC 8621 §4.1.2.3: an EmailAddress."""
    if not isinstance(value, dict) or not value.keys() <= {"name", "email"}:
        return False
    name, email = value.get("name"), value.get("email")
    return (
        (name is None or (isinstance(name, str) and _is_line(name)))
        and isinstance(email, str)
        and _is_line(email)
        and is_address(email)
    )


_TESTS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "name": _is_line,
    "email": lambda value: _is_line(value) and is_address(value),
    "replyTo": _are_addresses,
    "bcc": _are_addresses,
    "textSignature": _is_signature,
    "htmlSignature": _is_signature,
}
