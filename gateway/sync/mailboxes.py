"""RFC 8621 §2: the tree of Mailboxes, from what LIST says."""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.imap.commands.list import Listed
from gateway.imap.commands.status import Status
from gateway.sync import ids, roles

INBOX_NAME = "Inbox"
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
    listed: Iterable[Listed], prefixes: Sequence[str], rights: Mapping[bytes, str]
) -> dict[str, Mailbox]:
    """Mailboxes by id, the inbox and then the server's order, with parents that LIST left out.

    prefixes: of the personal namespaces ("INBOX."), which are no level of the hierarchy.
    """
    by_path: dict[tuple[str, ...], Listed | None] = {}
    # The inbox comes first, as INBOX.INBOX of some servers would be taken for it.
    for entry in sorted(listed, key=lambda entry: not _is_inbox(entry)):
        by_path[_untaken(_path(entry, prefixes), by_path)] = entry
    for path in list(by_path):
        for depth in range(1, len(path)):
            by_path.setdefault(path[:depth], None)
    id_of = {path: _id(path, entry) for path, entry in by_path.items()}
    mailboxes = {
        id_of[path]: _mailbox(path, entry, id_of, rights) for path, entry in by_path.items()
    }
    attributes = {id_of[path]: _attributes(path, entry) for path, entry in by_path.items()}
    given = roles.assign(
        (m.id, m.name, attributes[m.id], m.parent_id is None) for m in mailboxes.values()
    )
    return {id_: replace(m, role=given.get(id_)) for id_, m in mailboxes.items()}


def _is_inbox(entry: Listed) -> bool:
    return entry.name.upper() == "INBOX"


def _path(entry: Listed, prefixes: Sequence[str]) -> tuple[str, ...]:
    if _is_inbox(entry):
        return (INBOX_NAME,)
    name = entry.name
    for prefix in prefixes:
        if prefix and name.startswith(prefix) and len(name) > len(prefix):
            name = name[len(prefix) :]
            break
    parts = name.split(entry.delimiter) if entry.delimiter else [name]
    path = tuple(_net_unicode(part) for part in parts if part) or (_net_unicode(name),)
    return (INBOX_NAME, *path[1:]) if path[0].upper() == "INBOX" else path


def _untaken(path: tuple[str, ...], taken: Container[tuple[str, ...]]) -> tuple[str, ...]:
    """RFC 8621 §2: no two siblings have one name, though names may differ on the server only."""
    free, number = path, 1
    while free in taken:
        number += 1
        free = (*path[:-1], f"{path[-1]} ({number})")
    return free


def _net_unicode(name: str) -> str:
    """RFC 8621 §2: NFC, without control characters."""
    shown = "".join(c for c in name if unicodedata.category(c) != "Cc")
    return unicodedata.normalize("NFC", shown) or "?"


def _id(path: tuple[str, ...], entry: Listed | None) -> str:
    status = entry.status if entry else None
    if entry is None or status is None:
        return ids.mailbox_id(None, "\0".join(path), 0)
    return ids.mailbox_id(status.mailbox_id, entry.name, status.uidvalidity or 0)


def _attributes(path: tuple[str, ...], entry: Listed | None) -> frozenset[str]:
    attributes = entry.attributes if entry else frozenset({"\\noselect"})
    return attributes | {"\\inbox"} if path == (INBOX_NAME,) else attributes


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
