"""RFC 9590 (LIST-METADATA), RFC 5464 §4.4: annotations of mailboxes, as LIST returns them."""

from __future__ import annotations

from gateway.imap.command import Commander
from gateway.imap.commands.status import is_cyrus, mailbox_octets
from gateway.imap.errors import ProtocolError
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Untagged

UNIQUE_ID = "/shared/vendor/cmu/cyrus-imapd/uniqueid"
"""Cyrus: what its MAILBOXID is taken from."""


def unique_id_for(conn: Commander) -> tuple[Encoded, ...]:
    """The return option of LIST that asks for UNIQUE_ID, where the server has it."""
    if not is_cyrus(conn) or "LIST-METADATA" not in conn.capabilities:
        return ()
    entries = encode.parenthesised(encode.astring(UNIQUE_ID))
    return encode.item("METADATA"), entries


def parse_unique_id(response: Untagged) -> tuple[bytes, str | None]:
    """The mailbox of a METADATA response and its UNIQUE_ID, None if that is not in it."""
    values = response.values
    if len(values) != 2 or isinstance(values[0], list) or not isinstance(values[1], list):
        raise ProtocolError("a METADATA response without a mailbox and a list")
    for name, value in zip(values[1][::2], values[1][1::2], strict=False):
        if isinstance(name, bytes) and name.decode("ascii", "replace").lower() == UNIQUE_ID:
            text = value.decode("ascii", "replace") if isinstance(value, bytes) else None
            return mailbox_octets(values[0]), text
    return mailbox_octets(values[0]), None
