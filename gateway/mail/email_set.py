"""RFC 8621 §4.6: Email/set. Keywords and Mailboxes of Emails change; all else is immutable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gateway.jmap.errors import SetError
from gateway.jmap.limits import Limits
from gateway.jmap.settable import Change
from gateway.jmap.spec import GetRequest
from gateway.mail import email_body, email_get, new_email
from gateway.mail.backend import backend, backend_errors
from gateway.mail.email_create import compose
from gateway.mail.mailbox_get import rights
from gateway.mail.set_errors import set_error
from gateway.sync.account import Account
from gateway.sync.appending import Letter
from gateway.sync.failures import Failure
from gateway.sync.write_plan import Order
from gateway.sync.writing import Writing, writing


@asynccontextmanager
async def open_set(
    account: Account, arguments: dict[str, Any], limits: Limits
) -> AsyncIterator[EmailSetting]:
    """Begin an Email/set. Raises MethodError serverUnavailable."""
    guarded = arguments["ifInState"] is not None
    with backend_errors():
        async with writing(account, recheck=guarded) as held:
            yield EmailSetting(held, limits, guarded=guarded)


class EmailSetting:
    """An Email/set under way; see gateway.jmap.settable.Setting."""

    def __init__(self, held: Writing, limits: Limits, *, guarded: bool) -> None:
        self._held = held
        self._limits = limits
        self._guarded = guarded

    @property
    def state(self) -> str:
        """The state of the Email type."""
        return self._held.data.email_state()

    async def current(
        self, ids: Sequence[str], properties: frozenset[str]
    ) -> dict[str, dict[str, Any]]:
        """What Email/get shows of those that there are."""
        found = email_get.indexed(self._held.data, ids, properties)
        if found is None:
            arguments = {a.name: a.default for a in email_body.ARGUMENTS}
            names = ("id", *sorted(properties))
            request = GetRequest(tuple(ids), names, email_get.ALL, arguments)
            found = (await email_get.load(self._held.account, request)).records
        return found

    @backend
    async def create(
        self, objects: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any] | SetError]:
        """RFC 8621 §4.6: compose messages and add them."""
        results: dict[str, dict[str, Any] | SetError] = {}
        letters: dict[str, Letter] = {}
        for creation_id, object_ in objects.items():
            try:
                letters[creation_id] = await compose(self._held.account, object_, self._limits)
            except SetError as error:
                results[creation_id] = error
        rows = await self._held.append(list(letters.values()))
        for (creation_id, letter), row in zip(letters.items(), rows, strict=True):
            if isinstance(row, Failure):
                results[creation_id] = set_error(row)
            else:
                results[creation_id] = new_email.created(self._held.data, row, letter.received)
        return results

    @backend
    async def update(
        self, changes: dict[str, Change]
    ) -> dict[str, dict[str, Any] | SetError | None]:
        """Store keywords; copy, move and remove messages."""
        return dict(await self._change({id_: _order(each) for id_, each in changes.items()}))

    @backend
    async def destroy(self, ids: Sequence[str]) -> dict[str, SetError | None]:
        """Remove messages from all their mailboxes, for good."""
        return await self._change(dict.fromkeys(ids, Order(destroy=True)))

    async def _change(self, orders: Mapping[str, Order | SetError]) -> dict[str, SetError | None]:
        data = self._held.data
        rows = data.emails.rows(orders)
        results: dict[str, SetError | None] = {}
        todo: dict[int, Order] = {}
        mailboxes = _Mailboxes(self._held)
        for id_, order in orders.items():
            row = rows.get(id_)
            if row is None:
                results[id_] = SetError("notFound")
            elif isinstance(order, SetError):
                results[id_] = order
            elif error := mailboxes.refusal(row, order):
                results[id_] = error
            else:
                todo[row] = order
        failures = await self._held.change(todo, guarded=self._guarded) if todo else {}
        for id_, row in rows.items():
            if row in failures:
                failure = failures[row]
                results[id_] = set_error(failure) if failure is not None else None
        return results


def _order(change: Change) -> Order | SetError:
    """What is to be done for an update, or why it can not be."""
    before, after = change.before, change.after
    try:
        wanted = new_email.keywords(after.get("keywords", {}))
    except SetError as error:
        return error
    had = frozenset(before.get("keywords", {}))
    was_in, into = frozenset(before.get("mailboxIds", {})), frozenset(after.get("mailboxIds", {}))
    if "mailboxIds" in after and not into:
        return new_email.invalid("mailboxIds", "An Email is in one Mailbox at least.")
    return Order(
        wanted - had, had - wanted, into - was_in, was_in - into, stay_mailboxes=was_in & into
    )


class _Mailboxes:
    """What may be done in the Mailboxes of an account."""

    def __init__(self, held: Writing) -> None:
        self._data = held.data
        self._by_number = held.data.by_number()
        self._rights: dict[str, dict[str, bool]] = {}
        self._refusals: dict[tuple[frozenset[int], Order], SetError | None] = {}

    def refusal(self, row: int, order: Order) -> SetError | None:
        """Why an order can not be given for an Email; None when it can."""
        numbers = frozenset(number for number, _ in self._data.emails.placements(row))
        key = (numbers, order)  # the same for most of many
        if key not in self._refusals:
            self._refusals[key] = self._refusal(numbers, order)
        return self._refusals[key]

    def _refusal(self, numbers: frozenset[int], order: Order) -> SetError | None:
        if order.add_mailboxes - self._data.numbers.keys():
            return new_email.invalid("mailboxIds", "There is no such Mailbox for Emails.")
        there = {self._by_number[number].id for number in numbers}
        needed = (
            (order.add_mailboxes, "mayAddItems"),
            (there if order.destroy else order.remove_mailboxes, "mayRemoveItems"),
            (there if _touches_seen(order) else (), "maySetSeen"),
            (there if _touches_others(order) else (), "maySetKeywords"),
        )
        for ids, right in needed:
            if not all(self._has(id_, right) for id_ in ids):
                return SetError("forbidden", f"The Mailbox does not grant {right}.")
        return None

    def _has(self, mailbox_id: str, right: str) -> bool:
        found = self._rights.get(mailbox_id)
        if found is None:
            found = self._rights[mailbox_id] = rights(self._data.mailboxes[mailbox_id])
        return found[right]


def _touches_seen(order: Order) -> bool:
    return "$seen" in order.add_keywords or "$seen" in order.remove_keywords


def _touches_others(order: Order) -> bool:
    return any(_others(each) for each in (order.add_keywords, order.remove_keywords))


def _others(keywords: Iterable[str]) -> bool:
    return any(keyword != "$seen" for keyword in keywords)
