"""RFC 8621 §2: the tree of Mailboxes, from what LIST says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gateway.imap.commands.list import Listed
from gateway.imap.commands.namespace import Namespaces
from gateway.imap.commands.status import Status
from gateway.sync import ids, mailbox_ids, roles
from gateway.sync.mailbox_ids import Known
from gateway.sync.paths import INBOX_NAME, Layout, is_inbox, untaken

_SORT_ORDER = {"inbox": 1, "drafts": 2, "sent": 3, "archive": 4, "junk": 5, "trash": 6}
_OTHER_SORT_ORDER = 10


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox. `wire` is its name as the server spells it, None when only children exist.

    rights: the letters of MYRIGHTS (RFC 4314), None when the server has no ACL.
    status: the server's counters as of the last LIST, None when it can not be selected.
    """

    id: str
    wire: bytes | None
    path: tuple[str, ...]
    parent_id: str | None
    role: str | None
    is_subscribed: bool
    rights: str | None
    status: Status | None

    @property
    def name(self) -> str:
        """The last element of the path."""
        return self.path[-1]

    @property
    def sort_order(self) -> int:
        """Roles first, in the order people look for them; IMAP has nothing to say on this."""
        return _SORT_ORDER.get(self.role or "", _OTHER_SORT_ORDER)


def tree(
    listed: Iterable[Listed],
    namespaces: Namespaces,
    rights: Mapping[bytes, str],
    known: Mapping[bytes, Known],
) -> dict[str, Mailbox]:
    """Mailboxes by id, the inbox and then the server's order, with parents that LIST left out.

    rights: by wire name; known: the mailboxes as of the last look, by wire name.
    """
    listed = list(listed)
    layout = Layout(namespaces, listed)
    places = {entry.wire: layout.place(entry) for entry in listed}
    # The inbox and the user's own mailboxes come first, as others might be taken for them.
    listed.sort(key=lambda entry: (not is_inbox(entry), not places[entry.wire].is_personal))
    by_path = _by_path((places[entry.wire].path, entry) for entry in listed)
    named = mailbox_ids.assign(listed, known)
    id_of = {path: _id(path, entry, named) for path, entry in by_path.items()}
    mailboxes = {
        id_of[path]: _mailbox(path, entry, id_of, rights) for path, entry in by_path.items()
    }
    given = roles.assign(
        (id_of[path], path[-1], _attributes(path, entry), len(path) == 1)
        for path, entry in by_path.items()
        if entry is not None and places[entry.wire].is_personal
    )
    return {id_: replace(m, role=given.get(id_)) for id_, m in mailboxes.items()}


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


def _id(path: tuple[str, ...], entry: Listed | None, named: Mapping[bytes, str]) -> str:
    if entry is not None and entry.wire in named:
        return named[entry.wire]
    return ids.mailbox_id(None, "\0".join(path), 0)


def _attributes(path: tuple[str, ...], entry: Listed) -> frozenset[str]:
    return entry.attributes | {"\\inbox"} if path == (INBOX_NAME,) else entry.attributes


def _mailbox(
    path: tuple[str, ...],
    entry: Listed | None,
    id_of: Mapping[tuple[str, ...], str],
    rights: Mapping[bytes, str],
) -> Mailbox:
    return Mailbox(
        id=id_of[path],
        wire=entry.wire if entry else None,
        path=path,
        parent_id=id_of[path[:-1]] if len(path) > 1 else None,
        role=None,
        # Nobody subscribes to the inbox, and everybody wants to see it.
        is_subscribed=path == (INBOX_NAME,) or bool(entry and "\\subscribed" in entry.attributes),
        rights=rights.get(entry.wire) if entry else None,
        status=entry.status if entry else None,
    )
