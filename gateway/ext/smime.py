"""RFC 9219: what S/MIME signatures of Emails are worth, as properties and in queries.

A verdict is made when it is asked for. It is of the message alone, the authorities that are
trusted, and a moment: now, or when the message was received.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from gateway.ext.smime_filter import NAMES, Rewritten, rewritten
from gateway.jmap.errors import MethodError, cannot_calculate_changes
from gateway.jmap.kinds import BOOLEAN
from gateway.jmap.spec import (
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
    Results,
)
from gateway.mail.backend import backend
from gateway.mail.blob import BlobTooLarge, open_blob
from gateway.mail.query_state import query_state
from gateway.mail.results import ListResults
from gateway.smime.trust import Trust
from gateway.smime.verify import VERIFIED, Verdict, is_smime, verify
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.content import Want
from gateway.sync.errors import MessageGone

SMIME: Final = "urn:ietf:params:jmap:smimeverify"

# RFC 9219 §4.1 allows for a day.
_KEPT_SECONDS: Final = 3600.0
_KEPT: Final = 5_000
_MAX_OCTETS: Final = 50_000_000
# A query that would have to read more signed messages than this is refused.
_MOST_VERIFIED: Final = 500
_SOURCE: Final = frozenset({"SMIME"})
_PROPERTIES: Final = ("smimeStatus", "smimeStatusAtDelivery", "smimeErrors", "smimeVerifiedAt")
_NOTHING: Final = Verdict(None)
_UNVERIFIED: Final = Verdict("signed")


@dataclass(frozen=True, slots=True)
class _Checked:
    """Verdicts of one message; at: when they were made, in seconds since 1970."""

    now: Verdict
    at_delivery: Verdict
    at: float

    @property
    def members(self) -> dict[str, Any]:
        """The properties of RFC 9219 §4.1 by name."""
        has_none = self.now.status is None
        at = datetime.fromtimestamp(int(self.at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "smimeStatus": self.now.status,
            "smimeStatusAtDelivery": self.at_delivery.status,
            "smimeErrors": list(self.now.errors) or None,
            "smimeVerifiedAt": None if has_none or self.now == _UNVERIFIED else at,
        }


class Smime:
    """The Email type with what RFC 9219 adds to it."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._checked: OrderedDict[tuple[str, str], _Checked] = OrderedDict()

    def extended(self, email: DataType) -> DataType:
        """The type with more properties and conditions."""
        if email.get is None or email.query is None:
            raise ValueError(f"{email.name} can not be read")
        reading = _Reading(self, email.get, email.query)
        return replace(
            email,
            properties=(
                *email.properties,
                *(Property(name, _SOURCE, default=False) for name in _PROPERTIES),
            ),
            get=replace(email.get, load=reading.load, sources=email.get.sources | _SOURCE),
            query=replace(
                email.query,
                run=reading.query,
                conditions=(
                    *email.query.conditions,
                    *(Condition(name, BOOLEAN, None) for name in NAMES),
                ),
                changes=reading.query_changes,
            ),
        )

    async def checked(self, account: Account, email_ids: Iterable[str]) -> dict[str, _Checked]:
        """The verdicts of those of the Emails that are there. Raises ImapError."""
        rows = account.data.emails.rows(email_ids)
        gone = await account.content.read(list(rows.values()), (Want.STRUCTURE,))
        found = {}
        for email_id, row in rows.items():
            if row in gone:
                continue
            if is_smime(account.content.structure(row)):
                found[email_id] = await self._check(account, email_id, row)
            else:
                found[email_id] = _Checked(_NOTHING, _NOTHING, 0.0)
        return found

    async def _check(self, account: Account, email_id: str, row: int) -> _Checked:
        key = (account.id, email_id)
        known = self._checked.get(key)
        if known is not None and known.at > time.time() - _KEPT_SECONDS:
            self._checked.move_to_end(key)
            return known
        received = datetime.fromtimestamp(int(account.data.emails.received[row]), UTC)
        checked = await self._verdicts(account, email_id, received)
        self._checked[key] = checked
        if len(self._checked) > _KEPT:
            self._checked.popitem(last=False)
        return checked

    async def _verdicts(self, account: Account, email_id: str, received: datetime) -> _Checked:
        now = datetime.now(UTC)
        blob = await open_blob(account, ids.message_blob_id(email_id))
        try:
            octets = await blob.read(_MAX_OCTETS) if blob is not None else None
        except (BlobTooLarge, MessageGone):
            octets = None
        if octets is None:
            return _Checked(_UNVERIFIED, _UNVERIFIED, now.timestamp())
        verdict = await asyncio.to_thread(verify, octets, self._trust, now)
        then = await asyncio.to_thread(verify, octets, self._trust, received)
        return _Checked(verdict, then, now.timestamp())


class _Reading:
    """The methods of Email, with those of the type as it was behind them."""

    def __init__(self, smime: Smime, get: Get, query: Query) -> None:
        self._smime = smime
        self._get = get
        self._query = query

    @backend
    async def load(self, account: Account, request: GetRequest) -> GetResult:
        """RFC 9219 §4.1: Email/get."""
        wanted = [name for name in request.properties if name in _PROPERTIES]
        inner = replace(
            request,
            properties=tuple(name for name in request.properties if name not in _PROPERTIES),
            sources=request.sources - _SOURCE,
        )
        result = await self._get.load(account, inner)
        if not wanted:
            return result
        checked = await self._smime.checked(account, result.records)
        records = {}
        for email_id, record in result.records.items():
            if email_id in checked:  # else it went meanwhile
                members = checked[email_id].members
                records[email_id] = record | {name: members[name] for name in wanted}
        return GetResult(result.state, records)

    async def query(self, account: Account, request: QueryRequest) -> Results:
        """RFC 9219 §4.2: Email/query."""
        asked = rewritten(request.filter)
        if not asked.verified:
            return await self._query.run(account, replace(request, filter=asked.filter))
        return await self._query_verified(account, request, asked)

    @backend
    async def _query_verified(
        self, account: Account, request: QueryRequest, asked: Rewritten
    ) -> Results:
        arguments = {**request.arguments, "collapseThreads": False}
        inner = replace(request, arguments=arguments)
        signed = await self._ids(account, replace(inner, filter=asked.signed))
        if len(signed) > _MOST_VERIFIED:
            raise MethodError(
                "unsupportedFilter",
                f"At most {_MOST_VERIFIED} signed messages are verified for a query.",
            )
        checked = await self._smime.checked(account, signed)
        matching = await self._ids(account, replace(inner, filter=asked.filter))
        found = [
            id_
            for id_ in matching
            if all(_is_verified(checked.get(id_), name) is value for name, value in asked.verified)
        ]
        if request.arguments["collapseThreads"]:
            found = _collapsed(account, found)
        state = query_state(request, account.data.email_state(), "".join(found).encode())
        return ListResults(state, found, can_calculate_changes=False)

    async def _ids(self, account: Account, request: QueryRequest) -> list[str]:
        return await (await self._query.run(account, request)).slice(0, None)

    async def query_changes(
        self, account: Account, request: QueryChangesRequest
    ) -> QueryChangesResult:
        """RFC 8621 §4.5; what was verified when is not remembered."""
        asked = rewritten(request.query.filter)
        if asked.verified or self._query.changes is None:
            raise cannot_calculate_changes("Verdicts change with time.")
        query = replace(request.query, filter=asked.filter)
        return await self._query.changes(account, replace(request, query=query))


def _is_verified(checked: _Checked | None, name: str) -> bool:
    if checked is None:
        return False
    verdict = checked.at_delivery if name == "hasVerifiedSmimeAtDelivery" else checked.now
    return verdict.status == VERIFIED


def _collapsed(account: Account, email_ids: Sequence[str]) -> list[str]:
    """RFC 8621 §4.4.3: the first Email of each Thread."""
    emails = account.data.emails
    rows = emails.rows(email_ids)
    first: dict[int, str] = {}
    for email_id in email_ids:
        if email_id in rows:
            first.setdefault(int(emails.thread[rows[email_id]]), email_id)
    return list(first.values())
