"""RFC 9051 §7.5.2 (BODYSTRUCTURE), RFC 2045: the structure of a message, from either source.

It is kept as the server told it. Where the server is wrong about a message, it is kept as our own
parser found it in the octets, along with where each part is: such a server can not be asked for
the parts by their numbers either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgpack

from gateway.imap.errors import ProtocolError
from gateway.imap.wire import tokens
from gateway.mime import attachment, body
from gateway.mime.message import Message, Span
from gateway.mime.structure import Part, from_bodystructure, plausible
from gateway.sync.lru import Cache

_MAX_SKELETON = 1024
# The size, and the lines if they are told, follow the transfer encoding.
_SIZE = re.compile(rb'(?<=" )(\d{1,15})(?: (\d{1,15}))?(?=[ )])')
_BOUNDARY = re.compile(rb'(?<="boundary" ")[^"]*+', re.IGNORECASE)

_PARSED = b"\0"  # what begins with it is no BODYSTRUCTURE


@dataclass(frozen=True, slots=True)
class Structure:
    """The part tree.

    `spans` says by part_id where parts are, None where the server knows it; `is_plausible` is
    False where the server seems not to have understood the message.
    """

    root: Part
    spans: Mapping[str | None, Span] | None
    is_plausible: bool


def parse(raw: bytes) -> Structure:
    """A structure as kept; one that can not be read is one part of unknown content."""
    if raw.startswith(_PARSED):
        return _unpack(raw)
    if len(raw) > _MAX_SKELETON or b"\\" in raw or b"{" in raw:
        return _parse(raw)
    # Most messages are like others but for the sizes, and the boundaries, which nobody is shown.
    skeleton = _SIZE.sub(b"0", _BOUNDARY.sub(b"", raw))
    model = _models.get(skeleton, lambda: _model(raw))
    if model is None:
        return _parse(raw)
    sizes = map(_size, _SIZE.finditer(raw))
    return Structure(_resized(model.root, sizes), None, model.is_plausible)


def _model(raw: bytes) -> Structure | None:
    """A structure whose sizes stand where they look to stand, in order; None for others."""
    structure = _parse(raw)
    told = [(leaf.size, leaf.lines) for leaf in body.leaves(structure.root)]
    return structure if told == [*map(_size, _SIZE.finditer(raw))] else None


def _size(match: re.Match[bytes]) -> tuple[int, int | None]:
    return int(match[1]), int(match[2]) if match[2] else None


def _resized(part: Part, sizes: Iterator[tuple[int, int | None]]) -> Part:
    if part.is_multipart:
        return replace(part, children=tuple(_resized(child, sizes) for child in part.children))
    size, lines = next(sizes)
    return replace(part, size=size, lines=lines)


def _parse(raw: bytes) -> Structure:
    try:
        root = from_bodystructure(tokens.parse(raw))
    except ProtocolError:
        root = from_bodystructure(None)
    return Structure(root, None, plausible(root))


def of_message(message: Message) -> bytes:
    """The structure of a parsed message, to be kept."""

    def packed(part: Part) -> list[Any]:
        return [
            part.part_id,
            part.type,
            dict(part.parameters),
            part.disposition,
            dict(part.disposition_parameters),
            part.cid,
            part.language,
            part.location,
            part.encoding,
            part.size,
            part.lines,
            [packed(child) for child in part.children],
        ]

    tree = packed(message.root)
    spans = {id_: (span.header, span.content, span.end) for id_, span in message.spans.items()}
    return _PARSED + bytes(msgpack.packb([tree, spans]))


def _unpack(raw: bytes) -> Structure:
    """What of_message() packed; of what is damaged, one part of unknown content."""
    try:
        tree, spans = msgpack.unpackb(raw[len(_PARSED) :], strict_map_key=False)
        return Structure(_part(tree), {id_: Span(*octets) for id_, octets in spans.items()}, True)
    except (ValueError, TypeError, AttributeError, IndexError, msgpack.UnpackException):
        return Structure(from_bodystructure(None), None, False)


def _part(values: list[Any]) -> Part:
    *simple, children = values
    simple[6] = tuple(simple[6]) if simple[6] is not None else None
    return Part(*(*simple, tuple(map(_part, children))))


_models: Cache[bytes, Structure | None] = Cache(512)


def has_attachment(raw: bytes) -> bool:
    """RFC 8621 §4.1.4 hasAttachment, without building the tree where that is not needed."""
    known = None if raw.startswith(_PARSED) else attachment.quick_has_attachment(raw)
    return body.has_attachment(parse(raw).root) if known is None else known
