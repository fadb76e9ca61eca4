"""RFC 8621 §4.7: Email/copy, from one account of a user to another.

Where one connection sees both, the server copies; else the octets go through the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gateway.imap.errors import ImapError
from gateway.jmap.errors import MethodError, SetError
from gateway.jmap.settable import CopyRequest, CopyResult
from gateway.mail import new_email
from gateway.mail.backend import backend
from gateway.mail.blob import open_blob
from gateway.mail.email_import import NewLetter, Outcome, add, inspect
from gateway.mail.set_errors import set_error
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.appending import Letter
from gateway.sync.copying import can_copy, copy_across
from gateway.sync.data import AccountData
from gateway.sync.errors import MessageGone
from gateway.sync.failures import Failure, FailureKind
from gateway.sync.write_plan import Order
from gateway.sync.writing import Writing, writing

PROPERTIES: Final = frozenset({"mailboxIds", "keywords", "receivedAt"})


@backend
async def run(request: CopyRequest) -> CopyResult:
    """Copy Emails. Raises MethodError stateMismatch, serverUnavailable."""
    source: Account = request.from_account
    await source.indexed()
    await source.fresh()
    async with writing(request.account) as held:
        _compare(source.data, request.if_from_in_state)
        _compare(held.data, request.if_in_state)
        old_state = held.data.email_state()
        outcomes: dict[str, Outcome] = {}
        copies: dict[str, _Copy] = {}
        for creation_id, object_ in request.objects.items():
            try:
                copies[creation_id] = _wanted(held.data, source.data, object_)
            except SetError as error:
                outcomes[creation_id] = error
        outcomes |= await _copy(held, source, copies)
        left = {id_: copy for id_, copy in copies.items() if id_ not in outcomes}
        outcomes |= await _stream(held, source, left)
        created = {creation_id: outcomes[creation_id] for creation_id in request.objects}
        return CopyResult(old_state, held.data.email_state(), created)


def _compare(data: AccountData, state: str | None) -> None:
    if state not in (None, data.email_state()):
        raise MethodError("stateMismatch")


@dataclass(frozen=True, slots=True)
class _Copy:
    """What a copy is to be; `row` is that of its original, which was received at `original`."""

    row: int
    mailbox_ids: frozenset[str]
    keywords: frozenset[str]
    received: datetime
    original: datetime


def _wanted(target: AccountData, source: AccountData, object_: Mapping[str, Any]) -> _Copy:
    """Raises SetError."""
    row = source.emails.row(object_["id"])
    if row < 0:
        raise SetError("notFound")
    original = datetime.fromtimestamp(int(source.emails.received[row]), UTC)
    had = source.index.keywords
    return _Copy(
        row,
        new_email.mailbox_ids(target, object_.get("mailboxIds"), lambda id_: id_),
        new_email.keywords(
            object_.get("keywords", had.keywords(had.unpack(source.emails.bits[row])))
        ),
        new_email.received_at(object_["receivedAt"]) if "receivedAt" in object_ else original,
        original,
    )


# --- by the server -------------------------------------------------------------------------------


async def _copy(held: Writing, source: Account, copies: dict[str, _Copy]) -> dict[str, Outcome]:
    """What became of those that the server can copy; nothing of the others."""
    by_row = {
        copy.row: (creation_id, copy)
        for creation_id, copy in reversed(copies.items())
        if copy.received == copy.original and can_copy(held, source, copy.row)
    }
    if not by_row:
        return {}
    targets = {row: min(copy.mailbox_ids) for row, (_, copy) in by_row.items()}
    copied = await copy_across(held, source, targets)
    orders: dict[int, Order] = {}
    for row, result in copied.items():
        if isinstance(result, int):
            orders[result] = _order(held.data, result, by_row[row][1])
    failures = await held.change(orders)
    halves = {row: Order(destroy=True) for row, failure in failures.items() if failure}
    if halves:
        await held.change(halves)
    outcomes: dict[str, Outcome] = {}
    for row, result in copied.items():
        creation_id, copy = by_row[row]
        failure = result if isinstance(result, Failure) else failures[result]
        if failure is not None:
            outcomes[creation_id] = set_error(failure)
        elif isinstance(result, int):
            outcomes[creation_id] = new_email.created(held.data, result, copy.received)
    return outcomes


def _order(data: AccountData, row: int, copy: _Copy) -> Order:
    """What a copy that the server made still differs in from what it is to be."""
    table = data.index.keywords
    has = frozenset(table.keywords(table.unpack(data.emails.bits[row])))
    return Order(copy.keywords - has, has - copy.keywords, copy.mailbox_ids)


# --- through the gateway -------------------------------------------------------------------------


async def _stream(
    held: Writing, source: Account, copies: Mapping[str, _Copy]
) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    letters: dict[str, NewLetter] = {}
    for creation_id, copy in copies.items():
        try:
            letters[creation_id] = await _letter(held, source, copy)
        except SetError as error:
            outcomes[creation_id] = error
    return outcomes | await add(held, letters)


async def _letter(held: Writing, source: Account, copy: _Copy) -> NewLetter:
    """Raises SetError."""
    blob_id = ids.message_blob_id(source.data.emails.id(copy.row))
    try:
        blob = await open_blob(source, blob_id)
        if blob is None:
            raise SetError("notFound")
        message = await inspect(held.data, blob, copy.received)
    except MessageGone:
        raise SetError("notFound") from None
    except ImapError as error:
        # Other copies may have been made by now.
        raise set_error(Failure(FailureKind.UNAVAILABLE)) from error
    letter = Letter(
        mailbox_ids=copy.mailbox_ids,
        keywords=copy.keywords,
        received=copy.received,
        size=message.size,
        chunks=message.chunks,
        message_id=message.message_id,
    )
    return NewLetter(letter, message.digest)
