"""RFC 2342, RFC 9051 §5.1, §7.3.1: from the names that LIST gives to levels of an account's tree.

All that servers do otherwise with names and delimiters is made regular here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable
from dataclasses import dataclass

from gateway.imap.commands.list import EVERY, Listed
from gateway.imap.commands.namespace import Namespace, Namespaces
from gateway.sync.extent import OWN, Extent, Kind

INBOX_NAME = "Inbox"
# What a Shared Namespace is called that has no prefix (Cyrus: `NAMESPACE ... (("" "."))`).
_SHARED_NAME = "Shared"
# More names than fit into a command line are not told apart: all are asked for.
_PATTERNS_OCTETS = 4000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mailbox stands: in which account, and the path there.

    The path is () for what is no mailbox of the account, but the account itself.
    """

    path: tuple[str, ...]
    extent: Extent


@dataclass(frozen=True, slots=True)
class _Space:
    prefix: str
    delimiter: str | None
    kind: Kind


class Layout:
    """The namespaces of a user: which account a mailbox belongs to, and where it stands there.

    home: where new mailboxes of the user's own are to be.
    """

    def __init__(self, namespaces: Namespaces, listed: Iterable[Listed]) -> None:
        personal = namespaces.personal
        if personal == Namespaces().personal:  # the server did not tell
            personal = (_guess(listed),)
        kinds = (
            (Kind.OWN, personal),
            (Kind.USER, namespaces.other),
            (Kind.SHARED, namespaces.shared),
        )
        spaces = [
            _Space(_prefix(each), each.delimiter, kind) for kind, found in kinds for each in found
        ]
        self.home = Namespace(_prefix(personal[0]), personal[0].delimiter)
        # The longest prefix decides; a namespace without one has all other names.
        self._spaces = sorted(spaces, key=lambda s: (-len(s.prefix), s.kind is not Kind.OWN))

    def place(self, entry: Listed) -> Place | None:
        """Where a mailbox stands; None for a level above an account, which is no mailbox.

        Empty levels (a leading or trailing delimiter) are left out.
        """
        if is_inbox(entry):
            return Place((INBOX_NAME,), OWN)
        space = next((s for s in self._spaces if _begins(entry.name, s.prefix)), None)
        if space is not None and space.kind is not Kind.OWN:
            return _below(entry, space)
        if (root := self._root(entry)) is not None:
            return _at_root(entry, root)
        name = entry.name[len(space.prefix) :] if space is not None else entry.name
        return Place(_with_inbox(_levels(name, entry.delimiter)), OWN)

    def holds(self, extent: Extent, entry: Listed) -> bool:
        """Whether a mailbox belongs to that account."""
        place = self.place(entry)
        return place is not None and place.extent == extent

    def own_patterns(self, listed: Iterable[Listed]) -> tuple[str, ...]:
        """What to LIST for the user's own mailboxes, and of others the top levels at most.

        listed: the mailboxes as of the last LIST. Another LIST shows it when these patterns are
        not enough any more.
        """
        tops = {
            entry.name.split(entry.delimiter)[0]: entry.delimiter
            for entry in listed
            if entry.delimiter and self.holds(OWN, entry) and _has_levels(entry, entry.delimiter)
        }
        patterns = ("%", *(f"{top}{delimiter}*" for top, delimiter in sorted(tops.items())))
        return patterns if sum(map(len, patterns)) <= _PATTERNS_OCTETS else EVERY

    def _root(self, entry: Listed) -> _Space | None:
        """The namespace of others that a mailbox of the user's own would be the parent of."""
        if entry.delimiter is None:
            return None
        start = entry.name + entry.delimiter
        foreign = (s for s in self._spaces if s.kind is not Kind.OWN)
        return next((s for s in foreign if s.prefix.startswith(start)), None)


def _at_root(entry: Listed, space: _Space) -> Place | None:
    """A mailbox that others are below: also one of theirs, or of the user's; or no mailbox."""
    if not entry.selectable:
        return None
    if space.kind is Kind.SHARED and _prefix_of(entry) == space.prefix:
        extent = _shared(space, entry)
        return Place((extent.name,), extent)
    return Place(_with_inbox(_levels(entry.name, entry.delimiter)), OWN)


def _below(entry: Listed, space: _Space) -> Place | None:
    rest = entry.name[len(space.prefix) :]
    if space.kind is Kind.SHARED:
        return Place(_levels(rest, entry.delimiter), _shared(space, entry))
    delimiter = entry.delimiter or space.delimiter
    parts = [part for part in (rest.split(delimiter) if delimiter else [rest]) if part]
    if not parts:
        return None
    user, *levels = parts
    root = entry.name[: entry.name.index(user, len(space.prefix)) + len(user)]
    extent = Extent(Kind.USER, root, delimiter, net_unicode(user))
    if levels:
        return Place(_with_inbox(tuple(map(net_unicode, levels))), extent)
    # Cyrus, and Dovecot unless mail_shared_explicit_inbox is set: the user's name is the inbox.
    return Place((INBOX_NAME,) if entry.selectable else (), extent)


def _shared(space: _Space, entry: Listed) -> Extent:
    delimiter = space.delimiter or entry.delimiter
    root = space.prefix.removesuffix(delimiter) if delimiter else space.prefix
    last = root.split(delimiter)[-1] if delimiter else root
    return Extent(Kind.SHARED, root, delimiter, net_unicode(last.lstrip("#") or _SHARED_NAME))


def _levels(name: str, delimiter: str | None) -> tuple[str, ...]:
    parts = name.split(delimiter) if delimiter else [name]
    return tuple(net_unicode(part) for part in parts if part) or (net_unicode(name),)


def _with_inbox(path: tuple[str, ...]) -> tuple[str, ...]:
    return (INBOX_NAME, *path[1:]) if path[0].upper() == "INBOX" else path


def _has_levels(entry: Listed, delimiter: str) -> bool:
    """Whether there are, or may be, mailboxes below the top level of this one."""
    childless = {"\\hasnochildren", "\\noinferiors"}
    return delimiter in entry.name or not childless & entry.attributes


def is_inbox(entry: Listed) -> bool:
    """RFC 9051 §5.1: INBOX in any case."""
    return entry.name.upper() == "INBOX"


def _guess(listed: Iterable[Listed]) -> Namespace:
    """The personal namespace of a server without NAMESPACE: below INBOX if all mailboxes are."""
    others = [entry for entry in listed if not is_inbox(entry)]
    delimiters = {entry.delimiter for entry in others}
    if len(delimiters) == 1 and (delimiter := delimiters.pop()):
        prefix = f"INBOX{delimiter}"
        if all(_begins(entry.name, prefix) for entry in others):
            return Namespace(prefix, delimiter)
    return Namespaces().personal[0]


def _prefix_of(entry: Listed) -> str:
    return entry.name + (entry.delimiter or "")


def _prefix(space: Namespace) -> str:
    """The prefix of a namespace with the delimiter at its end, which some servers leave out.

    UW has none there: of `~fred/a`, `~` is the prefix.
    """
    prefix, delimiter = space.prefix, space.delimiter
    if not delimiter or prefix.endswith(delimiter) or not prefix[-1:].isalnum():
        return prefix
    return prefix + delimiter


def _begins(name: str, prefix: str) -> bool:
    """Whether a name is below a prefix; INBOX in it may be in any case."""
    if len(name) <= len(prefix):
        return False
    start = name[: len(prefix)]
    return start == prefix or (prefix[:5].upper() == "INBOX" and start.upper() == prefix.upper())


def net_unicode(name: str) -> str:
    """RFC 8621 §2: NFC, without control characters."""
    shown = "".join(c for c in name if unicodedata.category(c) != "Cc")
    return unicodedata.normalize("NFC", shown) or "?"


def untaken(path: tuple[str, ...], taken: Container[tuple[str, ...]]) -> tuple[str, ...]:
    """RFC 8621 §2: no two siblings have one name, though names may differ on the server only."""
    free, number = path, 1
    while free in taken:
        number += 1
        free = (*path[:-1], f"{path[-1]} ({number})")
    return free
