"""RFC 8621 §2: the tree of Mailboxes of one account, from what LIST says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeGuard

from gateway.imap.commands.list import Listed
from gateway.imap.commands.namespace import Namespaces
from gateway.imap.commands.status import Status
from gateway.imap.wire import modutf7
from gateway.sync import ids, mailbox_ids, roles
from gateway.sync.extent import OWN, Extent, Kind
from gateway.sync.mailbox_choice import NO_CHOICE, Choice
from gateway.sync.mailbox_ids import Known
from gateway.sync.paths import INBOX_NAME, Layout, is_inbox, untaken

_SORT_ORDER = {"inbox": 1, "drafts": 2, "sent": 3, "archive": 4, "junk": 5, "trash": 6}
_OTHER_SORT_ORDER = 10


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox. `wire` is its name as the server spells it, None when only children exist.

    rights: the letters of MYRIGHTS (RFC 4314), None when the server has no ACL.
    status: the server's counters as of the last LIST, None when it can not be selected.
    delimiter: of its hierarchy, None where it can have no children.
    choice: what was chosen for it in the gateway.
    """

    id: str
    wire: bytes | None
    path: tuple[str, ...]
    parent_id: str | None
    role: str | None
    is_subscribed: bool
    rights: str | None
    status: Status | None
    delimiter: str | None = None
    choice: Choice = NO_CHOICE

    @property
    def name(self) -> str:
        """The last element of the path."""
        return self.path[-1]

    @property
    def wire_name(self) -> str:
        """What the server calls it, with all levels."""
        return modutf7.decode(self.wire or b"")

    @property
    def sort_order(self) -> int:
        """As chosen, else roles first, in the order people look for them: IMAP does not say."""
        if self.choice.order is not None:
            return self.choice.order
        return _SORT_ORDER.get(self.role or "", _OTHER_SORT_ORDER)


def tree(
    listed: Iterable[Listed],
    namespaces: Namespaces,
    rights: Mapping[bytes, str],
    known: Mapping[bytes, Known],
    extent: Extent = OWN,
    levels: Mapping[tuple[str, ...], str] = MappingProxyType({}),
    choices: Mapping[str, Choice] = MappingProxyType({}),
) -> dict[str, Mailbox]:
    """Mailboxes by id, the inbox and then the server's order, with parents that LIST left out.

    rights: by wire name; known: the mailboxes as of the last look, by wire name; levels: ids of
    those that can not be selected, by path; choices: by id. Of what is listed, only that which
    belongs to the `extent` counts.
    """
    listed = list(listed)
    layout = Layout(namespaces, listed)
    places = {entry.wire: place for entry in listed if (place := layout.place(entry)) is not None}
    paths = {wire: p.path for wire, p in places.items() if p.extent == extent and p.path}
    listed = [entry for entry in listed if entry.wire in paths]
    # The inbox comes first, as another mailbox might be taken for it.
    listed.sort(key=lambda entry: (not is_inbox(entry), paths[entry.wire] != (INBOX_NAME,)))
    by_path = _by_path((paths[entry.wire], entry) for entry in listed)
    named = mailbox_ids.assign(listed, known)
    id_of = _ids(by_path, named, levels)
    # Of what others share, nothing may be done where no rights are told.
    without = "" if rights and extent != OWN else None
    mailboxes = {
        id_of[path]: _mailbox(path, entry, id_of, rights, without)
        for path, entry in by_path.items()
    }
    _give_delimiters(mailboxes)
    # In a Shared Namespace no mailbox is anybody's inbox, or has a role for its name alone.
    is_somebodys = extent.kind is not Kind.SHARED
    given = roles.assign(
        (
            id_of[path],
            path[-1],
            _attributes(path, entry, has_inbox=is_somebodys),
            is_somebodys and len(path) == 1,
        )
        for path, entry in by_path.items()
        if entry is not None
    )
    given = roles.chosen(given, {id_: c.role for id_, c in choices.items() if id_ in mailboxes})
    return {
        id_: replace(m, role=given.get(id_), choice=choices.get(id_, NO_CHOICE))
        for id_, m in mailboxes.items()
    }


def _by_path(
    entries: Iterable[tuple[tuple[str, ...], Listed]],
) -> dict[tuple[str, ...], Listed | None]:
    """Mailboxes by path, and None for levels that are none; each listed mailbox has its own."""
    by_path: dict[tuple[str, ...], Listed | None] = {}
    for path, entry in entries:
        held = by_path.get(path)
        if held is None or (not held.selectable and entry.selectable):
            by_path[path] = entry
        elif entry.selectable:
            by_path[untaken(path, by_path)] = entry
    for path in list(by_path):
        for depth in range(1, len(path)):
            by_path.setdefault(path[:depth], None)
    return by_path


def _ids(
    by_path: Mapping[tuple[str, ...], Listed | None],
    named: Mapping[bytes, str],
    levels: Mapping[tuple[str, ...], str],
) -> dict[tuple[str, ...], str]:
    """Ids by path. A level that is no mailbox keeps the one it had, else it is made of its path."""
    id_of = {path: named[entry.wire] for path, entry in by_path.items() if _is_in(entry, named)}
    taken = {*id_of.values()}
    for path in by_path:
        if path in id_of:
            continue
        name = "\0".join(path)
        id_ = levels.get(path) or ids.mailbox_id(None, name, 0)
        while id_ in taken:  # one that was renamed may have the id of this path
            name += "\0"
            id_ = ids.mailbox_id(None, name, 0)
        id_of[path] = id_
        taken.add(id_)
    return id_of


def _is_in(entry: Listed | None, named: Mapping[bytes, str]) -> TypeGuard[Listed]:
    return entry is not None and entry.wire in named


def _attributes(path: tuple[str, ...], entry: Listed, *, has_inbox: bool) -> frozenset[str]:
    added = {"\\inbox"} if has_inbox and path == (INBOX_NAME,) else frozenset[str]()
    return entry.attributes | added


def _mailbox(
    path: tuple[str, ...],
    entry: Listed | None,
    id_of: Mapping[tuple[str, ...], str],
    rights: Mapping[bytes, str],
    without: str | None,
) -> Mailbox:
    return Mailbox(
        id=id_of[path],
        wire=entry.wire if entry else None,
        path=path,
        parent_id=id_of[path[:-1]] if len(path) > 1 else None,
        role=None,
        # Nobody subscribes to the inbox, and everybody wants to see it.
        is_subscribed=path == (INBOX_NAME,) or bool(entry and "\\subscribed" in entry.attributes),
        rights=rights.get(entry.wire, without) if entry else without,
        status=entry.status if entry else None,
        delimiter=entry.delimiter if entry else None,
    )


def _give_delimiters(mailboxes: dict[str, Mailbox]) -> None:
    """What LIST left out has the delimiter of what is below it."""
    for mailbox in list(mailboxes.values()):
        parent = mailboxes.get(mailbox.parent_id or "")
        while parent is not None and parent.wire is None and parent.delimiter is None:
            mailboxes[parent.id] = replace(parent, delimiter=mailbox.delimiter)
            parent = mailboxes.get(parent.parent_id or "")
