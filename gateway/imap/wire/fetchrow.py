"""RFC 9051 §7.5.2: the items of one FETCH response, the general way."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.imap.errors import ProtocolError
from gateway.imap.wire import items
from gateway.imap.wire.framer import Frame
from gateway.imap.wire.responses import Untagged
from gateway.imap.wire.tokens import Value

_NAMES = (
    items.IDENTITIES
    | items.THREADS
    | {
        "UID",
        "FLAGS",
        "MODSEQ",
        "INTERNALDATE",
        "RFC822.SIZE",
        "BODYSTRUCTURE",
        "PREVIEW",
    }
)
_UID = re.compile(rb" *+\(UID (\d{1,10})")
_LITERAL_SECTION = re.compile(rb" (BODY\[[0-9A-Z. ()-]*+\](?:<\d{1,20}>)?) \{\d{1,10}\}\r\n")
_NO_NAME = b'"{~0123456789'  # how strings and numbers begin
_STRUCTURE = re.compile(rb"[( ]BODYSTRUCTURE (?=\()", re.IGNORECASE)


def fetch_items(response: Untagged) -> list[tuple[str, Value, bytes]]:
    """Name (see items.label), value and raw octets of each item; an item without a value has None.

    A BODYSTRUCTURE that is no IMAP data comes raw, with an empty list for its value: the message
    can be read without it. Raises ProtocolError when the response is no FETCH row.
    """
    if (sections := _literal_sections(response)) is not None:
        return sections
    try:
        return [*_items(response)]
    except ProtocolError:
        before, raw = _around_structure(response)
        return [*_items(before), ("BODYSTRUCTURE", [], raw)]


def _literal_sections(response: Untagged) -> list[tuple[str, Value, bytes]] | None:
    """The items of a row of a UID and sections in literals; None for any other row.

    That is how bodies come, of many messages at once.
    """
    octets, literals = response.frame
    uid = _UID.match(octets, response.start) if literals else None
    if uid is None:
        return None
    found: list[tuple[str, Value, bytes]] = [("UID", uid[1], uid[1])]
    at = uid.end()
    for start, length in literals:
        name = _LITERAL_SECTION.fullmatch(octets, at, start)
        if name is None:
            return None
        at = start + length
        section = octets[start:at]
        found.append((items.label(name[1]), section, section))
    return found if octets[at:] == b")" else None


def _items(response: Untagged) -> Iterator[tuple[str, Value, bytes]]:
    values, spans = response.values_with_spans()
    if len(values) != 1 or not isinstance(values[0], list):
        raise ProtocolError("a FETCH response is no list of items and values")
    octets, row, at = response.frame.octets, values[0], 0
    while at < len(row):
        name = row[at]
        at += 1
        if isinstance(name, list):  # Domino puts ENVELOPE and its value in parentheses
            continue
        if name is None:
            raise ProtocolError("an item of a FETCH response has no name")
        if at == len(row) or _is_name(row[at], octets[spans[at][0]]):
            # Dovecot, of a message that went away meanwhile; Yandex, of an empty part
            yield items.label(name), None, b""
        else:
            yield items.label(name), row[at], octets[slice(*spans[at])]
            at += 1


def _is_name(value: Value, first: int) -> bool:
    if not isinstance(value, bytes) or first in _NO_NAME:
        return False
    label = items.label(value)
    return label in _NAMES or label.startswith(("BODY[", "BINARY["))


def _around_structure(response: Untagged) -> tuple[Untagged, bytes]:
    """The row up to an unreadable BODYSTRUCTURE, and the octets of that, taken for the last item.

    Raises ProtocolError when there is none.
    """
    octets, literals = response.frame
    for match in _STRUCTURE.finditer(octets, response.start):
        if not any(start <= match.start() < start + length for start, length in literals):
            kept = tuple(literal for literal in literals if literal[0] <= match.start())
            head = Frame(octets[: match.start() + (octets[match.start()] == 40)] + b")", kept)
            before = Untagged(response.name, response.number, head, response.start)
            return before, octets[match.end() :].removesuffix(b")")
    raise ProtocolError("a FETCH response is no IMAP data")
