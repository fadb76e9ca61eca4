"""RFC 9051 by way of imaplib: what is on the server, read by code that is none of the gateway's."""

from __future__ import annotations

import imaplib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser

from tests.servers.mail_server import MailServer, User, quoted
from tests.sync.views import Counts, Mail, View

_LIST = re.compile(rb'\((?P<attributes>[^)]*)\) "(?P<delimiter>.)" "?(?P<name>[^"]*)"?')
_ITEMS = "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID REFERENCES)])"
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_SYSTEM = {
    "\\seen": "$seen",
    "\\flagged": "$flagged",
    "\\answered": "$answered",
    "\\draft": "$draft",
}


@dataclass(frozen=True, slots=True)
class Copy:
    """One message in one mailbox, without \\Deleted."""

    path: str
    message_id: str
    root: str
    keywords: frozenset[str]
    received: int
    octets: int


def read(server: MailServer, user: User) -> View:
    """What the gateway has to show."""
    with server.imap(user) as client:
        listed = _listed(client)
        subscribed = {path for path, _, _ in _names(client.lsub())}
        copies = [
            copy
            for path, (name, attributes) in listed.items()
            if b"\\Noselect" not in attributes
            for copy in _copies(client, path, name)
        ]
    trash = next((path for path, (_, a) in listed.items() if b"\\Trash" in a), None)
    paths = {*listed}
    for path in listed:
        levels = path.split("/")
        paths |= {"/".join(levels[:depth]) for depth in range(1, len(levels))}
    mails = _mails(copies)
    roots = {copy.message_id: copy.root for copy in copies}
    return View(
        mails,
        {path: _counts(path, mails, roots, trash) for path in paths},
        # The inbox is shown to everybody.
        frozenset(subscribed & {*listed} | {"Inbox"}),
        frozenset(
            frozenset(name for name, other in roots.items() if other == root)
            for root in roots.values()
        ),
    )


def _listed(client: imaplib.IMAP4) -> dict[str, tuple[str, bytes]]:
    """{path: (name on the wire, attributes)}."""
    return {path: (name, attributes) for path, name, attributes in _names(client.list())}


def _names(
    answer: tuple[str, Sequence[object]],
) -> list[tuple[str, str, bytes]]:
    found = []
    for line in answer[1]:
        match = _LIST.fullmatch(line) if isinstance(line, bytes) else None
        if match is not None:
            name, delimiter = match["name"].decode(), match["delimiter"].decode()
            levels = name.split(delimiter)
            if levels[0] == "INBOX":
                levels[0] = "Inbox"
            found.append(("/".join(levels), name, match["attributes"]))
    return found


def _copies(client: imaplib.IMAP4, path: str, name: str) -> list[Copy]:
    status, exists = client.select(quoted(name), readonly=True)
    if status != "OK" or exists == [b"0"]:
        return []
    _, rows = client.uid("FETCH", "1:*", _ITEMS)
    copies = [_copy(path, row[0], row[1]) for row in rows if isinstance(row, tuple)]
    return [copy for copy in copies if copy is not None]


def _copy(path: str, line: bytes, block: bytes) -> Copy | None:
    flags, size = _FLAGS.search(line), _SIZE.search(line)
    date = imaplib.Internaldate2tuple(line)
    assert flags, line
    assert size, line
    assert date, line
    names = {flag.decode().lower() for flag in flags[1].split()}
    if "\\deleted" in names:
        return None
    header = BytesHeaderParser().parsebytes(block)
    message_id = header["Message-ID"].strip("<>")
    references = (header["References"] or message_id).split()
    return Copy(
        path,
        message_id,
        references[0].strip("<>"),
        frozenset(_SYSTEM.get(name, name) for name in names - {"\\recent"}),
        # imaplib gives local time.
        int(time.mktime(date)),
        int(size[1]),
    )


def _mails(copies: list[Copy]) -> dict[str, Mail]:
    """RFC 8621 §4.1.1: keywords of any copy, $seen of all."""
    by_id: dict[str, list[Copy]] = {}
    for copy in copies:
        by_id.setdefault(copy.message_id, []).append(copy)
    mails = {}
    for message_id, group in by_id.items():
        union = frozenset().union(*(copy.keywords for copy in group))
        seen = all("$seen" in copy.keywords for copy in group)
        mails[message_id] = Mail(
            frozenset(copy.path for copy in group),
            union if seen else union - {"$seen"},
            group[0].received,
            group[0].octets,
        )
    return mails


def _counts(path: str, mails: dict[str, Mail], roots: dict[str, str], trash: str | None) -> Counts:
    """RFC 8621 §2: what is only in the Trash makes no thread unread but there."""
    inside = {name for name, mail in mails.items() if path in mail.mailboxes}
    unread = {name for name, mail in mails.items() if not mail.keywords & {"$seen", "$draft"}}
    if path == trash:
        counting = inside
    else:
        counting = {name for name, mail in mails.items() if mail.mailboxes - {trash}}
    threads = {roots[name] for name in inside}
    unread_threads = {roots[name] for name in counting & unread} & threads
    return Counts(len(inside), len(inside & unread), len(threads), len(unread_threads))


def names(client: imaplib.IMAP4) -> list[str]:
    """Names of all mailboxes, as on the wire."""
    return [name for name, _ in _listed(client).values()]


def uids(client: imaplib.IMAP4, *criteria: str) -> list[str]:
    """UIDs of the selected mailbox that match."""
    _, found = client.uid("SEARCH", *(criteria or ("ALL",)))
    return [uid.decode() for uid in (found[0] or b"").split()]
