"""RFC 9051 §7.5.2: the items of one FETCH response, the general way."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.imap.errors import ProtocolError
from gateway.imap.wire import items
from gateway.imap.wire.responses import Untagged
from gateway.imap.wire.tokens import Span, Value

_NAMES = items.IDENTITIES | {
    "UID",
    "FLAGS",
    "MODSEQ",
    "INTERNALDATE",
    "RFC822.SIZE",
    "BODYSTRUCTURE",
    "PREVIEW",
}


def fetch_items(response: Untagged) -> list[tuple[str, Value, bytes]]:
    """Name (see items.label), value and raw octets of each item; an item without a value has None.

    Raises ProtocolError when the response is no FETCH row.
    """
    values, spans = response.values_with_spans()
    if len(values) != 1 or not isinstance(values[0], list):
        raise ProtocolError("a FETCH response is no list of items and values")
    row = values[0]
    if len(row) % 2:
        return [*_with_gaps(response, row, spans)]
    return [
        (_name(row[at]), row[at + 1], response.frame.octets[slice(*spans[at + 1])])
        for at in range(0, len(row), 2)
    ]


def _with_gaps(
    response: Untagged, row: list[Value], spans: list[Span]
) -> Iterator[tuple[str, Value, bytes]]:
    """Dovecot leaves out the value of X-GUID when the message went away meanwhile."""
    at = 0
    while at < len(row):
        name = _name(row[at])
        if at + 1 < len(row) and not _is_name(row[at + 1]):
            yield name, row[at + 1], response.frame.octets[slice(*spans[at + 1])]
            at += 2
        else:
            yield name, None, b""
            at += 1


def _name(value: Value) -> str:
    if not isinstance(value, bytes):
        raise ProtocolError("an item of a FETCH response has no name")
    return items.label(value)


def _is_name(value: Value) -> bool:
    if not isinstance(value, bytes):
        return False
    label = items.label(value)
    return label in _NAMES or label.startswith(("BODY[", "BINARY["))
