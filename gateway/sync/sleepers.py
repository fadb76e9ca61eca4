"""RFC 5423: the audiences of accounts that are not in memory, and which a report concerns."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.imap.commands.namespace import Namespaces
from gateway.sync.audience import Audience
from gateway.sync.extent import OWN, Extent, Kind
from gateway.sync.reported import extents_of


class Sleepers:
    """All that are asleep, by users and by what others share with them."""

    def __init__(self) -> None:
        self._by_name: dict[str, Audience] = {}
        self._by_share: dict[Extent | str, dict[str, Audience]] = {}
        self._spaces: set[Namespaces] = set()

    def __len__(self) -> int:
        return len(self._by_name)

    def add(self, audience: Audience, spaces: Namespaces | None) -> None:
        """One more; spaces: whose mailboxes are where for that user."""
        self._by_name[audience.username] = audience
        for extent in audience.extents - {OWN}:
            self._by_share.setdefault(_key(extent), {})[audience.username] = audience
        if spaces is not None:
            self._spaces.add(spaces)

    def discard(self, audience: Audience) -> None:
        """One less, if it is one of them."""
        if self._by_name.get(audience.username) is not audience:
            return
        del self._by_name[audience.username]
        for key in {_key(extent) for extent in audience.extents - {OWN}}:
            others = self._by_share[key]
            del others[audience.username]
            if not others:
                del self._by_share[key]

    def concerned(self, username: str, mailboxes: Iterable[str]) -> list[Audience]:
        """Those of whom the user, or somebody else in whose mailboxes, has changed something.

        mailboxes: as that user names them.
        """
        extents = {each for name in mailboxes for each in extents_of(self._spaces, name)}
        owners = {username} | {each.name for each in extents if each.kind is Kind.USER}
        found = [self._by_name[owner] for owner in owners if owner in self._by_name]
        for key in owners | {_key(each) for each in extents}:
            found += self._by_share.get(key, {}).values()
        return [*dict.fromkeys(found)]

    def longest_unseen(self, count: int) -> list[Audience]:
        """So many of those that were looked at longest ago."""
        return sorted(self._by_name.values(), key=lambda each: each.looked_at)[:count]

    def forgotten(self, before: float) -> list[Audience]:
        """Those to whom nobody listens since before that moment."""
        return [each for each in self._by_name.values() if not each and each.left_at < before]


def _key(extent: Extent) -> Extent | str:
    """Of what another user shares, that is whose it is."""
    return extent.name if extent.kind is Kind.USER else extent
