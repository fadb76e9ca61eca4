"""RFC 9051 §7.5.2 (BODYSTRUCTURE): raw octets to what JMAP wants to know of them."""

from __future__ import annotations

from gateway.imap.errors import ProtocolError
from gateway.imap.wire import tokens
from gateway.mime import attachment, body
from gateway.mime.structure import Part, from_bodystructure


def parse(raw: bytes) -> Part:
    """The part tree; a structure that can not be read is one part of unknown content."""
    try:
        return from_bodystructure(tokens.parse(raw))
    except ProtocolError:
        return from_bodystructure(None)


def has_attachment(raw: bytes) -> bool:
    """RFC 8621 §4.1.4 hasAttachment, without building the tree where that is not needed."""
    known = attachment.quick_has_attachment(raw)
    return body.has_attachment(parse(raw)) if known is None else known
