"""RFC 8474 §4, RFC 8621 §2: ids of mailboxes: the server's, or derived and then kept.

Where the server names no mailbox, its id is derived from the name and the UIDVALIDITY it is first
seen with. What is known of the mailboxes, which comes back from the store, then keeps the id of a
mailbox that is renamed, and of one whose STATUS the server could not tell this time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.imap.commands.list import Listed
from gateway.sync import ids


@dataclass(frozen=True, slots=True)
class Known:
    """A mailbox as it was seen last: its id, and figures that tell whether it is the same one."""

    id: str
    uidvalidity: int
    uidnext: int


def assign(listed: Iterable[Listed], known: Mapping[bytes, Known]) -> dict[bytes, str]:
    """Ids of the mailboxes that can be selected, by wire name; no two have the same.

    known: the mailboxes as of the last look, by wire name. What bears a name that is known is that
    mailbox, unless the server says otherwise or the UIDVALIDITY is another (RFC 9051 §2.3.1.1).
    """
    selectable = {entry.wire: entry for entry in listed if entry.selectable}
    found = _Found()
    for wire, entry in selectable.items():
        if entry.status is not None and entry.status.mailbox_id:
            found.add(wire, _free(entry.status.mailbox_id, entry, found.taken))
    for wire, entry in selectable.items():
        before = known.get(wire)
        if before is None:
            continue
        if entry.status is None or _uidvalidity(entry) == before.uidvalidity:
            found.add(wire, before.id)
    for wire, id_ in _renamed(known.values(), selectable):
        found.add(wire, id_)
    for wire, entry in selectable.items():
        if wire not in found.ids:
            found.add(wire, _free(None, entry, found.taken))
    return found.ids


class _Found:
    """Ids by wire name: each mailbox gets the first that no other has."""

    def __init__(self) -> None:
        self.ids: dict[bytes, str] = {}
        self.taken: set[str] = set()

    def add(self, wire: bytes, id_: str) -> None:
        if wire not in self.ids and id_ not in self.taken:
            self.ids[wire] = id_
            self.taken.add(id_)


def _renamed(
    known: Collection[Known], listed: Mapping[bytes, Listed]
) -> Iterator[tuple[bytes, str]]:
    """Mailboxes that may have another name now, by their UIDVALIDITY, and their ids.

    It says so only where no other mailbox has it, or had it: some servers have one for all.
    """
    before = Counter(each.uidvalidity for each in known)
    now = Counter(_uidvalidity(entry) for entry in listed.values())
    origins = {each.uidvalidity: each for each in known if before[each.uidvalidity] == 1}
    for wire, entry in listed.items():
        uidvalidity = _uidvalidity(entry)
        origin = origins.get(uidvalidity)
        is_only = uidvalidity != 0 and now[uidvalidity] == 1
        if origin is not None and is_only and _uidnext(entry) >= origin.uidnext:
            yield wire, origin.id


def _uidvalidity(entry: Listed) -> int:
    return (entry.status.uidvalidity if entry.status else None) or 0


def _uidnext(entry: Listed) -> int:
    return (entry.status.uidnext if entry.status else None) or 0


def _free(given: str | None, entry: Listed, taken: Container[str]) -> str:
    """An id that no other mailbox has: as given, else derived from the name and the UIDVALIDITY.

    A server may list a mailbox under two names; what was renamed may have the id of its old name.
    """
    uidvalidity, name = _uidvalidity(entry), entry.name
    id_ = ids.mailbox_id(given, name, uidvalidity)
    while id_ in taken:
        id_ = ids.mailbox_id(None, f"{given or ''}\0{name}", uidvalidity)
        name += "\0"
    return id_
