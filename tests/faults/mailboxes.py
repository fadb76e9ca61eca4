"""What is on a server, copy by copy, read and put there by code that is none of the gateway's."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TypeAlias

from tests.servers.mail_server import MailServer, User
from tests.sync.hand import hand
from tests.sync.letters import letter

MAILBOXES = ("INBOX", "A", "B")

Copy: TypeAlias = tuple[str, frozenset[str]]
"""Mailbox and flags of a copy of a message, in lower case."""
World: TypeAlias = dict[str, list[Copy]]
"""The copies of each message, by Message-ID, in order."""

_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_MESSAGE_ID = re.compile(rb"Message-ID:\s*<([^>]*)>", re.IGNORECASE)

# Letter 5 was flagged by somebody else, who may still want it back.
FURNITURE: Mapping[int, tuple[str, ...]] = {
    1: ("INBOX",),
    2: ("INBOX", "\\Seen"),
    3: ("INBOX", "$Work"),
    4: ("A", "\\Flagged"),
    5: ("INBOX", "\\Deleted"),
    6: ("B",),
}
TWICE = 3
"""The letter that is in a second mailbox, B."""


def furnish(server: MailServer, user: User) -> None:
    """Have these letters in the mailboxes, and nothing else."""
    with hand(server, user) as writer:
        for mailbox in MAILBOXES:
            writer.client.create(mailbox)
            if writer.client.select(mailbox)[1] != [b"0"]:
                writer.client.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
                writer.client.expunge()
            writer.client.unselect()
        for number, (mailbox, *flags) in FURNITURE.items():
            writer.append(mailbox, number, None, *flags)
        writer.copy("INBOX", (TWICE,), "B")


def octets_of(number: int) -> bytes:
    """A letter that is not there yet."""
    return letter(number).octets


def world(server: MailServer, user: User) -> World:
    """All copies of all messages."""
    found: World = defaultdict(list)
    with server.imap(user) as client:
        for mailbox in MAILBOXES:
            status, exists = client.select(mailbox, readonly=True)
            if status != "OK" or exists == [b"0"]:
                continue
            items = "(FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"
            for row in client.uid("FETCH", "1:*", items)[1]:
                if isinstance(row, tuple):
                    found[_message_id(row[1])].append((mailbox, _flags(row[0])))
    return {name: sorted(copies, key=str) for name, copies in found.items()}


def _message_id(header: bytes) -> str:
    match = _MESSAGE_ID.search(header)
    assert match, header
    return match[1].decode()


def _flags(line: bytes) -> frozenset[str]:
    match = _FLAGS.search(line)
    assert match, line
    return frozenset(match[1].decode().lower().split()) - {"\\recent"}
