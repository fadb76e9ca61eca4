"""RFC 8620 §1.6.2, RFC 2342, RFC 4314: what others share with a user, as accounts of the user.

It is found out by a LIST of the namespaces that are not the user's own, without any STATUS. What it
costs to know that there is an account is all that an account costs which nobody asks for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.imap.commands.list import Listed, list_names
from gateway.imap.commands.namespace import Namespaces
from gateway.imap.commands.rights import my_rights
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused
from gateway.obs.log import get_logger
from gateway.sync import ids
from gateway.sync.checker import RIGHTS_SECONDS, Places
from gateway.sync.extent import OWN, Extent, Kind
from gateway.sync.paths import Layout

# Rights are asked for until one is found with which something can be written; of a large tree in
# which nothing can be found so far, each mailbox still says by itself what may be done with it.
_RIGHTS_AT_ONCE: Final = 50
_RIGHTS_MOST: Final = 200
# RFC 4314 §2.1, with "c" and "d" of RFC 2086.
_WRITING: Final = frozenset("swikxtecd")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Share:
    """An account that others share with a user: its id, and which mailboxes it has.

    is_read_only: nothing can be written in any of them.
    """

    id: str
    extent: Extent
    is_read_only: bool

    @property
    def name(self) -> str:
        """What to call the account."""
        return self.extent.name


class Shares:
    """What others share with one user, as of the last look."""

    def __init__(self, backend: str, username: str, places: Places) -> None:
        self._backend = backend
        self._username = username
        self._places = places
        self._read_only: dict[Extent, bool] = {}
        self._listed: frozenset[bytes] = frozenset()
        self._rights_until = 0.0
        self.looked_at: float | None = None
        self.by_id: Mapping[str, Share] = MappingProxyType({})

    async def look(self, connection: Connection) -> None:
        """Find out what is shared now. Raises ImapError."""
        spaces = await self._places.get(connection)
        found = _by_extent(await _list(connection, spaces), spaces, self._username)
        wires = frozenset(entry.wire for entries in found.values() for entry in entries)
        now = time.monotonic()
        if wires != self._listed or now > self._rights_until:
            self._read_only = {
                extent: await _is_read_only(connection, [entry.wire for entry in entries])
                for extent, entries in found.items()
            }
            self._listed, self._rights_until = wires, now + RIGHTS_SECONDS
        shares = (
            Share(ids.shared_account_id(self._backend, self._username, extent.key), extent, is_ro)
            for extent, is_ro in sorted(self._read_only.items(), key=lambda each: each[0].key)
        )
        self.by_id = MappingProxyType({share.id: share for share in shares})
        self.looked_at = now

    def withdraw(self, account_id: str) -> None:
        """Something is shared no longer."""
        left = {id_: share for id_, share in self.by_id.items() if id_ != account_id}
        self.by_id = MappingProxyType(left)
        self.looked_at = None


async def _list(connection: Connection, spaces: Namespaces) -> list[Listed]:
    patterns = dict.fromkeys(f"{space.prefix}*" for space in (*spaces.other, *spaces.shared))
    if not patterns:
        return []
    try:
        return await list_names(connection, [*patterns])
    except CommandRefused as refused:
        log.info("shares_refused", reason=str(refused))
        return []


def _by_extent(
    listed: Iterable[Listed], spaces: Namespaces, username: str
) -> dict[Extent, list[Listed]]:
    """The mailboxes that can be selected, by the account they are in."""
    listed = list(listed)
    layout = Layout(spaces, listed)
    found: dict[Extent, list[Listed]] = {}
    for entry in listed:
        place = layout.place(entry) if entry.selectable else None
        if place is None or place.extent == OWN:
            continue
        if place.extent.kind is Kind.USER and place.extent.name == username:
            continue  # what some servers list there a second time
        found.setdefault(place.extent, []).append(entry)
    return found


async def _is_read_only(connection: Connection, wires: list[bytes]) -> bool:
    """Whether in none of the mailboxes anything can be written. Raises ImapError."""
    for start in range(0, min(len(wires), _RIGHTS_MOST), _RIGHTS_AT_ONCE):
        some = wires[start : start + _RIGHTS_AT_ONCE]
        rights = await my_rights(connection, some)
        if len(rights) < len(some) or any(_WRITING & set(told) for told in rights.values()):
            return False
    return len(wires) <= _RIGHTS_MOST
