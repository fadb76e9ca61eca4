"""RFC 5423: whose accounts a change concerns that was made in somebody's session.

A mailbox of another user is reported by who changed it, under the name it has for them. All users
of a server have the same namespaces, so the name tells whose it is, and who else sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.imap.commands.list import Listed
from gateway.imap.commands.namespace import Namespaces
from gateway.sync.account import Account
from gateway.sync.extent import OWN, Extent, Kind
from gateway.sync.login import Login
from gateway.sync.paths import Layout


def concerned(
    logins: Mapping[str, Login], username: str, mailboxes: Iterable[str]
) -> list[Account]:
    """The accounts in memory in which that user, or others, see what was changed.

    mailboxes: those that were changed, as the user names them; none: it was somewhere.
    """
    found = [*logins[username].accounts.values()] if username in logins else []
    spaces = {login.namespaces for login in logins.values() if login.namespaces is not None}
    extents = {extent for name in mailboxes for extent in extents_of(spaces, name)}
    owners = {username} | {extent.name for extent in extents if extent.kind is Kind.USER}
    for login in logins.values():
        for account in login.accounts.values():
            extent = account.extent
            is_owners = extent == OWN and login.username in owners
            is_theirs = extent.kind is Kind.USER and extent.name in owners
            if is_owners or is_theirs or extent in extents:
                found.append(account)
    return [*dict.fromkeys(found)]


def extents_of(spaces: Iterable[Namespaces], name: str) -> set[Extent]:
    """Which accounts other than a user's own a mailbox of that name is in.

    spaces: whose mailboxes are where, for the users there are.
    """
    found = set()
    for each in spaces:
        delimiters = {space.delimiter for space in (*each.other, *each.shared)}
        for delimiter in delimiters:
            place = Layout(each, ()).place(Listed(name, name.encode(), delimiter, frozenset()))
            if place is not None and place.extent != OWN:
                found.add(place.extent)
    return found
