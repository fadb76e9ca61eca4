"""RFC 8621 §2.5: Mailbox/set.

A name can not contain what separates the levels of the hierarchy on the mail server: no server has
a way to write it. It is refused as an invalid name, and so is a control character.
"""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from gateway.jmap.errors import SetError
from gateway.jmap.limits import Limits
from gateway.jmap.settable import Change
from gateway.mail.backend import backend, backend_errors
from gateway.mail.capability import MAX_MAILBOX_NAME_OCTETS
from gateway.mail.mailbox_get import rights, shown
from gateway.sync.account import Account
from gateway.sync.mailbox_choice import NO_ORDER
from gateway.sync.mailbox_plan import Objection, Place, Reason
from gateway.sync.mailbox_writing import MailboxWriting, Wish
from gateway.sync.mailboxes import Mailbox
from gateway.sync.paths import INBOX_NAME
from gateway.sync.roles import ROLES
from gateway.sync.writing import Writing, writing

_SERVER_SET: Final = (
    *("totalEmails", "unreadEmails", "totalThreads", "unreadThreads"),
    "myRights",
)
_SETTABLE: Final = ("name", "parentId", "role", "sortOrder", "isSubscribed")
_MAX_SORT_ORDER: Final = 2**31 - 1
# RFC 9051 §5.1: no control characters, and not the separators of lines and paragraphs.
_NOT_IN_NAMES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_ERRORS: Final = {
    Reason.NO_PARENT: SetError(
        "invalidProperties", "There is no such parent Mailbox.", properties=("parentId",)
    ),
    Reason.NO_CHILDREN: SetError(
        "invalidProperties", "That Mailbox can have no children.", properties=("parentId",)
    ),
    Reason.LOOP: SetError(
        "invalidProperties", "A Mailbox can not be below itself.", properties=("parentId",)
    ),
    Reason.ROLE_TAKEN: SetError(
        "invalidProperties", "Another Mailbox has that role.", properties=("role",)
    ),
    Reason.NAME: SetError(
        "invalidProperties", "The mail server does not take this name.", properties=("name",)
    ),
    Reason.HAS_CHILD: SetError("mailboxHasChild"),
    Reason.HAS_EMAIL: SetError("mailboxHasEmail"),
    Reason.NOT_FOUND: SetError("notFound"),
    Reason.FORBIDDEN: SetError("forbidden", "The mail server does not permit this."),
    Reason.OVER_QUOTA: SetError("overQuota", "The mail server has no room for more Mailboxes."),
    Reason.REFUSED: SetError("forbidden", "The mail server refuses this."),
    Reason.UNAVAILABLE: SetError("serverUnavailable", "Try again shortly."),
}


@asynccontextmanager
async def open_set(
    account: Account, arguments: dict[str, Any], _limits: Limits
) -> AsyncIterator[MailboxSetting]:
    """Begin a Mailbox/set. Raises MethodError serverUnavailable."""
    with backend_errors():
        async with writing(account, recheck=True) as held:
            yield MailboxSetting(held, with_emails=arguments["onDestroyRemoveEmails"])


class MailboxSetting:
    """A Mailbox/set under way; see gateway.jmap.settable.Setting."""

    def __init__(self, held: Writing, *, with_emails: bool) -> None:
        self._held = held
        self._writing = MailboxWriting(held)
        self._with_emails = with_emails

    @property
    def state(self) -> str:
        """The state of the Mailbox type."""
        return self._held.data.mailbox_state()

    @property
    def _mailboxes(self) -> Mapping[str, Mailbox]:
        return self._held.data.mailboxes

    async def current(
        self, ids: Sequence[str], properties: frozenset[str]
    ) -> dict[str, dict[str, Any]]:
        """What Mailbox/get shows of those that there are."""
        found = [self._mailboxes[id_] for id_ in ids if id_ in self._mailboxes]
        return {mailbox.id: shown(self._held.data, mailbox, properties) for mailbox in found}

    # --- RFC 8620 §5.3: create -------------------------------------------------------------------

    @backend
    async def create(
        self, objects: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any] | SetError]:
        """Create mailboxes on the server, and subscribe to them."""
        results: dict[str, dict[str, Any] | SetError] = {}
        wishes: dict[str, Wish] = {}
        for creation_id, object_ in objects.items():
            try:
                wishes[creation_id] = self._new(object_)
            except SetError as error:
                results[creation_id] = error
        created = await self._writing.create(wishes) if wishes else {}
        for creation_id, result in created.items():
            if isinstance(result, Objection):
                results[creation_id] = self._error(result, wishes[creation_id].place)
            else:
                results[creation_id] = self._created(result, objects[creation_id])
        return results

    def _new(self, object_: Mapping[str, Any]) -> Wish:
        place = Place(
            object_["parentId"], _name(object_["name"], object_["parentId"]), object_["role"]
        )
        _check(place.name, place.role, object_.get("sortOrder") or 0)
        self._check_parent(place.parent_id)
        return Wish(place, object_.get("sortOrder"), object_["isSubscribed"])

    def _check_parent(self, parent_id: str | None) -> None:
        """Raises SetError forbidden where no mailbox may be made or moved to."""
        parent = self._mailboxes.get(parent_id or "")
        if parent is not None and not rights(parent)["mayCreateChild"]:
            raise SetError("forbidden", "No Mailbox may be added below that one.")

    def _created(self, id_: str, object_: Mapping[str, Any]) -> dict[str, Any]:
        mailbox = self._mailboxes[id_]
        record = shown(self._held.data, mailbox, ("id", *_SETTABLE, *_SERVER_SET))
        asked = {name: object_[name] for name in _SETTABLE if name in object_}
        return {n: v for n, v in record.items() if n not in asked or asked[n] != v}

    # --- RFC 8620 §5.3: update -------------------------------------------------------------------

    @backend
    async def update(
        self, changes: dict[str, Change]
    ) -> dict[str, dict[str, Any] | SetError | None]:
        """Rename and move mailboxes, subscribe to them, choose roles and orders for them."""
        results: dict[str, dict[str, Any] | SetError | None] = {}
        wishes: dict[str, Wish] = {}
        for id_, change in changes.items():
            try:
                wishes[id_] = self._changed(self._mailboxes[id_], change.after)
            except SetError as error:
                results[id_] = error
        outcome = await self._writing.update(wishes) if wishes else {}
        for id_, objection in outcome.items():
            if objection is not None:
                results[id_] = self._error(objection, wishes[id_].place)
            else:
                results[id_] = self._otherwise(id_, changes[id_].after)
        return results

    def _changed(self, mailbox: Mailbox, after: Mapping[str, Any]) -> Wish:
        parent_id = after.get("parentId", mailbox.parent_id)
        name = _name(after["name"], parent_id) if "name" in after else mailbox.name
        role = after.get("role", mailbox.role)
        order = after.get("sortOrder")
        _check(name, after.get("role"), order or 0)
        if "sortOrder" in after and order is None:
            order = NO_ORDER
        is_inbox = mailbox.path == (INBOX_NAME,)
        if is_inbox and not after.keys() <= {"sortOrder"}:
            raise SetError("forbidden", "Of the inbox only the sortOrder can be changed.")
        if "role" in after and mailbox.status is None:
            raise SetError("invalidProperties", "It can hold no Emails.", properties=("role",))
        if {"name", "parentId"} & after.keys() and not rights(mailbox)["mayRename"]:
            raise SetError("forbidden", "The Mailbox may not be renamed or moved.")
        if parent_id != mailbox.parent_id:
            self._check_parent(parent_id)
        return Wish(Place(parent_id, name, role), order, after.get("isSubscribed"))

    def _otherwise(self, id_: str, after: Mapping[str, Any]) -> dict[str, Any] | None:
        """What is not as it was asked for, as names that the server has normalised."""
        if id_ not in self._mailboxes:  # somebody else has deleted it since
            return None
        record = shown(self._held.data, self._mailboxes[id_], tuple(after))
        return {name: record[name] for name in after if record[name] != after[name]} or None

    # --- RFC 8620 §5.3: destroy ------------------------------------------------------------------

    @backend
    async def destroy(self, ids: Sequence[str]) -> dict[str, SetError | None]:
        """Delete mailboxes, with the mail in them if that was asked for."""
        results: dict[str, SetError | None] = {}
        for id_ in ids:
            mailbox = self._mailboxes.get(id_)
            if mailbox is not None and not rights(mailbox)["mayDelete"]:
                results[id_] = SetError("forbidden", "The Mailbox may not be destroyed.")
        left = [id_ for id_ in ids if id_ not in results]
        outcome = await self._writing.destroy(left, with_emails=self._with_emails)
        for id_, objection in outcome.items():
            results[id_] = None if objection is None else self._error(objection, None)
        return results

    # --- errors ----------------------------------------------------------------------------------

    def _error(self, objection: Objection, place: Place | None) -> SetError:
        if objection.reason is not Reason.TAKEN:
            return _ERRORS[objection.reason]
        existing = objection.by or self._sibling(place)
        further = {"existingId": existing} if existing is not None else {}
        return SetError("alreadyExists", "A sibling has this name.", **further)

    def _sibling(self, place: Place | None) -> str | None:
        """The mailbox that a server means which finds two names to be the same."""
        if place is None:
            return None
        alike = (
            m.id
            for m in self._mailboxes.values()
            if m.parent_id == place.parent_id and m.name.casefold() == place.name.casefold()
        )
        return next(alike, None)


def _name(name: str, parent_id: str | None) -> str:
    """RFC 8621 §2: as Net-Unicode; RFC 9051 §5.1: INBOX in any case is the inbox."""
    normal = unicodedata.normalize("NFC", name)
    return INBOX_NAME if parent_id is None and normal.upper() == "INBOX" else normal


def _check(name: str, role: str | None, sort_order: int) -> None:
    """Raises SetError invalidProperties with all that is wrong."""
    wrong: dict[str, str] = {}
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_MAILBOX_NAME_OCTETS:
        wrong["name"] = f"A name has from 1 to {MAX_MAILBOX_NAME_OCTETS} octets."
    elif any(unicodedata.category(c) in _NOT_IN_NAMES for c in name):
        wrong["name"] = "A name has no control characters."
    if role is not None and (role not in ROLES or role == "inbox"):
        wrong["role"] = "No Mailbox can be given this role."
    if sort_order > _MAX_SORT_ORDER:
        wrong["sortOrder"] = f"A sortOrder is at most {_MAX_SORT_ORDER}."
    if wrong:
        raise SetError("invalidProperties", " ".join(wrong.values()), properties=wrong)
