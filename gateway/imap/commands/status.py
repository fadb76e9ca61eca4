"""RFC 9051 §6.3.11: STATUS; RFC 7162 HIGHESTMODSEQ, RFC 8474 MAILBOXID, Dovecot's X-GUID."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gateway.imap.command import Command, Commander
from gateway.imap.errors import ProtocolError
from gateway.imap.quirks import NO_X_GUID
from gateway.imap.wire import encode
from gateway.imap.wire.encode import MAX_UID, Encoded
from gateway.imap.wire.responses import Tagged, Untagged, number
from gateway.imap.wire.tokens import Value

_ITEMS = ("MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY")


@dataclass(frozen=True, slots=True)
class Status:
    """Figures of one mailbox; None for those the server did not give."""

    messages: int | None = None
    unseen: int | None = None
    uidnext: int | None = None
    uidvalidity: int | None = None
    highestmodseq: int | None = None
    mailbox_id: str | None = None


class StatusOf(Command[Status | None]):
    """STATUS of one mailbox. None when the server refuses it: the mailbox is gone or closed to us.

    A BAD, which is about the items, raises CommandRefused.
    """

    name: ClassVar[str] = "STATUS"

    def __init__(self, mailbox: bytes, items: Sequence[str]) -> None:
        self._mailbox = mailbox
        self._items = items
        self._status: Status | None = None

    def encode(self) -> Encoded:
        items = encode.parenthesised(*map(encode.item, self._items))
        return encode.join(encode.atom(self.name), encode.mailbox(self._mailbox), items)

    def collect(self, response: Untagged) -> bool:
        if response.name != "STATUS":
            return False
        mailbox, status = parse_status(response)
        if mailbox != self._mailbox:
            return False
        self._status = status
        return True

    def finish(self, tagged: Tagged) -> Status | None:
        if tagged.status == "NO":
            return None
        self.check(tagged)
        return self._status


async def status_of(conn: Commander, mailbox: bytes) -> Status | None:
    """The figures of one mailbox. Raises CommandRefused."""
    return await conn.run(StatusOf(mailbox, items_for(conn)))


def items_for(conn: Commander) -> tuple[str, ...]:
    """The STATUS items this server has."""
    items: tuple[str, ...] = _ITEMS
    if "CONDSTORE" in conn.capabilities or "QRESYNC" in conn.capabilities:
        items += ("HIGHESTMODSEQ",)
    if "OBJECTID" in conn.capabilities and not is_cyrus(conn):  # see quirks.STATUS_MAILBOXID
        return (*items, "MAILBOXID")
    if has_x_guid(conn):
        return (*items, "X-GUID")
    return items


def is_cyrus(conn: Commander) -> bool:
    """Whether the server is Cyrus, which need not tell its name."""
    return "DIGEST=SHA1" in conn.capabilities or conn.server_name == "cyrus imapd"


def has_x_guid(conn: Commander) -> bool:
    """Whether the server may be Dovecot, which does not announce X-GUID, and has not refused it."""
    named = conn.server_name == "dovecot" or (conn.server_name is None and not is_cyrus(conn))
    return named and NO_X_GUID not in conn.quirks


def parse_status(response: Untagged) -> tuple[bytes, Status]:
    """The mailbox and the figures of a STATUS response."""
    values = response.values
    if len(values) != 2 or isinstance(values[0], list) or not isinstance(values[1], list):
        raise ProtocolError("a STATUS response without a mailbox and a list")
    found = {
        name.upper(): value
        for name, value in zip(values[1][::2], values[1][1::2], strict=False)
        if isinstance(name, bytes)
    }
    return mailbox_octets(values[0]), Status(
        messages=number(found.get(b"MESSAGES")),
        unseen=number(found.get(b"UNSEEN")),
        uidnext=uidnext(number(found.get(b"UIDNEXT"))),
        uidvalidity=number(found.get(b"UIDVALIDITY")),
        highestmodseq=number(found.get(b"HIGHESTMODSEQ")),
        mailbox_id=_identifier(found.get(b"MAILBOXID", found.get(b"X-GUID"))),
    )


def mailbox_octets(value: bytes | None) -> bytes:
    """The wire name of a mailbox: INBOX in any case is INBOX, and one may be called NIL."""
    if value is None:
        return b"NIL"
    return b"INBOX" if value.upper() == b"INBOX" else value


def uidnext(given: int | None) -> int | None:
    """RFC 9051 §2.3.1.1: UIDNEXT if it can be one; it is one more than the last UID at most."""
    return given if given is not None and 0 < given <= MAX_UID + 1 else None


def _identifier(value: Value) -> str | None:
    if isinstance(value, list):
        value = value[0] if value else None
    return value.decode("ascii", "replace") if isinstance(value, bytes) else None
