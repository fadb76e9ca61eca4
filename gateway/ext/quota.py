"""RFC 9425: Quota: how much of what a user may store is used.

The mail server keeps it (RFC 9208), and of it only what is about mail is shown. A state has in it
all that there was, so /changes and /queryChanges compare that with what there is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from gateway.ext.listing import matching
from gateway.imap.commands.quota import Quota as Bound
from gateway.jmap.differences import difference
from gateway.jmap.errors import cannot_calculate_changes
from gateway.jmap.kinds import MAX_INT, STRING
from gateway.jmap.spec import (
    Changes,
    ChangesRequest,
    ChangesResult,
    Condition,
    DataType,
    Get,
    GetRequest,
    GetResult,
    Property,
    Query,
    QueryChangesRequest,
    QueryChangesResult,
    QueryRequest,
    Sort,
)
from gateway.mail.backend import backend
from gateway.mail.capability import MAIL
from gateway.mail.collation import sort_key
from gateway.mail.query_state import query_state, state_in
from gateway.mail.results import ListResults
from gateway.sync.account import Account
from gateway.sync.journal import UnknownState
from gateway.sync.quotas import held_in, state_of

QUOTA_CAPABILITY: Final = "urn:ietf:params:jmap:quota"

# A look costs a round trip, and what others write is counted by and by in any case.
_SECONDS: Final = 1.0
_SERVER: Final = frozenset({"GETQUOTAROOT"})


@dataclass(frozen=True, slots=True)
class _Resource:
    """RFC 9425 §3.2: what a resource of RFC 9208 is: of so many octets or objects, of types."""

    type: str
    unit: int
    types: tuple[str, ...]


_RESOURCES: Final = {
    "STORAGE": _Resource("octets", 1024, ("Email",)),
    "MESSAGE": _Resource("count", 1, ("Email",)),
    "MAILBOX": _Resource("count", 1, ("Mailbox",)),
}


@dataclass(frozen=True, slots=True)
class _Quota:
    """The properties that there are, as JMAP has them."""

    id: str
    resource_type: str
    used: int
    hard_limit: int
    name: str
    types: tuple[str, ...]

    def members(self) -> dict[str, Any]:
        """All properties by name."""
        return {
            "id": self.id,
            "resourceType": self.resource_type,
            "used": self.used,
            "hardLimit": self.hard_limit,
            "scope": "account",
            "name": self.name,
            "types": list(self.types),
            "warnLimit": None,
            "softLimit": None,
            "description": None,
        }


def _shown(bounds: Iterable[Bound], username: str, opened: frozenset[str]) -> dict[str, _Quota]:
    """What a client is shown, by id: nothing without the types that it is about (RFC 9425 §4.1)."""
    if MAIL not in opened:
        return {}
    found = {}
    for bound in bounds:
        resource = _RESOURCES.get(bound.resource)
        if resource is None or bound.limit * resource.unit > MAX_INT:  # some write "none" so
            continue
        id_ = _id(bound)
        used = min(bound.used * resource.unit, MAX_INT)
        limit, name = bound.limit * resource.unit, bound.root or username
        found[id_] = _Quota(id_, resource.type, used, limit, name, resource.types)
    return found


def _id(bound: Bound) -> str:
    name = f"{bound.resource} {bound.root}".encode()
    return "Q" + blake2b(name, digest_size=8, person=b"quota").hexdigest()


async def _held(account: Account) -> tuple[Bound, ...]:
    return await account.quotas.fresh(_SECONDS) if account.quotas is not None else ()


def _was(state: str) -> tuple[Bound, ...]:
    try:
        return held_in(state)
    except UnknownState:
        raise cannot_calculate_changes("The state is not known.") from None


@backend
async def load(account: Account, request: GetRequest) -> GetResult:
    """RFC 9425 §4.2."""
    held = await _held(account)
    shown = _shown(held, account.username, request.opened)
    records = {
        id_: {name: value for name, value in quota.members().items() if name in request.properties}
        for id_, quota in shown.items()
    }
    return GetResult(state_of(held), records)


@backend
async def changes(account: Account, request: ChangesRequest) -> ChangesResult:
    """RFC 9425 §4.3: there are so few that they are told of at once, whatever is asked for."""
    mail = frozenset({MAIL})
    before = _was(request.since_state)
    held = await _held(account)
    old, new = (_shown(each, account.username, mail) for each in (before, held))
    updated = [id_ for id_ in old.keys() & new.keys() if old[id_] != new[id_]]
    created, destroyed = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    if len(updated) + len(created) + len(destroyed) > request.max_changes:
        raise cannot_calculate_changes("There are more changes than that.")
    others = any(_without_used(old[id_]) != _without_used(new[id_]) for id_ in updated)
    only_used = bool(updated) and not (others or created or destroyed)
    return ChangesResult(
        old_state=request.since_state,
        new_state=state_of(held),
        has_more_changes=False,
        created=created,
        updated=sorted(updated),
        destroyed=destroyed,
        members={"updatedProperties": ["used"] if only_used else None},
    )


def _without_used(quota: _Quota) -> dict[str, Any]:
    return {name: value for name, value in quota.members().items() if name != "used"}


# --- queries --------------------------------------------------------------------------------------


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


@backend
async def run(account: Account, request: QueryRequest) -> ListResults:
    """RFC 9425 §4.4."""
    held = await _held(account)
    shown = _shown(held, account.username, request.opened)
    return ListResults(
        query_state(request, state_of(held)), matching(shown, request, _CONDITIONS, _SORTS)
    )


@backend
async def query_changes(account: Account, request: QueryChangesRequest) -> QueryChangesResult:
    """RFC 9425 §4.5."""
    before = _was(state_in(request.since_query_state, request.query))
    held = await _held(account)
    opened = request.query.opened
    old, new = (_shown(each, account.username, opened) for each in (before, held))
    touched = {id_ for id_ in old.keys() & new.keys() if old[id_] != new[id_]}
    before_ids, results = (
        matching(each, request.query, _CONDITIONS, _SORTS) for each in (old, new)
    )
    removed, added = difference(before_ids, results, touched)
    state = query_state(request.query, state_of(held))
    return QueryChangesResult(state, len(results), removed, added)


_CONDITIONS: Final = (
    Condition("name", STRING, lambda quota, value: _fold(value) in _fold(quota.name)),
    Condition("scope", STRING, lambda _, value: value == "account"),
    Condition("resourceType", STRING, lambda quota, value: quota.resource_type == value),
    Condition("type", STRING, lambda quota, value: value in quota.types),
)
_SORTS: Final = (
    Sort("name", lambda collation, quota: sort_key(quota.name, collation)),
    Sort("used", lambda _, quota: quota.used),
)

QUOTA: Final = DataType(
    "Quota",
    QUOTA_CAPABILITY,
    "RFC 9425 §4",
    properties=tuple(
        Property(name, _SERVER)
        for name in (
            *("resourceType", "used", "hardLimit", "scope", "name", "types"),
            *("warnLimit", "softLimit", "description"),
        )
    ),
    get=Get(load, sources=_SERVER),
    changes=Changes(changes),
    query=Query(run, _CONDITIONS, _SORTS, changes=query_changes),
)
