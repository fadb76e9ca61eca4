"""RFC 2342, RFC 9051 §5.1, §7.3.1: from the names that LIST gives to levels of a tree.

All that servers do otherwise with names and delimiters is made regular here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable
from dataclasses import dataclass

from gateway.imap.commands.list import Listed
from gateway.imap.commands.namespace import Namespace, Namespaces

INBOX_NAME = "Inbox"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mailbox stands: its path, and whether it is the user's own."""

    path: tuple[str, ...]
    is_personal: bool


class Layout:
    """The namespaces of an account: which of their prefixes are no level of the hierarchy."""

    def __init__(self, namespaces: Namespaces, listed: Iterable[Listed]) -> None:
        personal = namespaces.personal
        if personal == Namespaces().personal:  # the server did not tell
            personal = (_guess(listed),)
        spaces = [(_prefix(space), True) for space in personal]
        spaces += [(_prefix(space), False) for space in (*namespaces.other, *namespaces.shared)]
        # The longest prefix decides; a namespace without one has all other names.
        self._spaces = sorted(spaces, key=lambda space: (-len(space[0]), not space[1]))

    def place(self, entry: Listed) -> Place:
        """Where a mailbox stands; empty levels (a leading or trailing delimiter) are left out."""
        if is_inbox(entry):
            return Place((INBOX_NAME,), True)
        prefix, is_personal = next(
            (space for space in self._spaces if _begins(entry.name, space[0])), ("", False)
        )
        name = entry.name[len(prefix) :] if is_personal else entry.name
        parts = name.split(entry.delimiter) if entry.delimiter else [name]
        path = tuple(_net_unicode(part) for part in parts if part) or (_net_unicode(name),)
        if path[0].upper() == "INBOX":
            path = (INBOX_NAME, *path[1:])
        return Place(path, is_personal)


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


def _prefix(space: Namespace) -> str:
    """The prefix of a namespace with the delimiter at its end, which some servers leave out."""
    if not space.prefix or not space.delimiter or space.prefix.endswith(space.delimiter):
        return space.prefix
    return space.prefix + space.delimiter


def _begins(name: str, prefix: str) -> bool:
    """Whether a name is below a prefix; INBOX in it may be in any case."""
    if len(name) <= len(prefix):
        return False
    start = name[: len(prefix)]
    return start == prefix or (prefix[:5].upper() == "INBOX" and start.upper() == prefix.upper())


def _net_unicode(name: str) -> str:
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
