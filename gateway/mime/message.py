"""RFC 5322, RFC 2045, RFC 2046: a whole message, taken apart as RFC 8621 §4.1.4 shows it.

The parts are those that an IMAP server tells in BODYSTRUCTURE, under the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.mime import contentfields, parameters
from gateway.mime.entities import Entity, scan
from gateway.mime.structure import Part


@dataclass(frozen=True, slots=True)
class Span:
    """Where a part is in its message: the header at [header, content), then [content, end)."""

    header: int
    content: int
    end: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message and what it is made of; the methods take parts of `root`, others raise KeyError."""

    octets: bytes
    root: Part
    spans: Mapping[str | None, Span]

    def span(self, part: Part) -> Span:
        """Where a part is in `octets`."""
        return self.spans[part.part_id]

    def header(self, part: Part) -> bytes:
        """The header of a part with the empty line that ends it; of the root, of the message."""
        span = self.spans[part.part_id]
        return self.octets[span.header : span.content]

    def content(self, part: Part) -> bytes:
        """The octets of a part as they are in the message, in its transfer encoding."""
        span = self.spans[part.part_id]
        return self.octets[span.content : span.end]


def parse(octets: bytes) -> Message:
    """Take a message apart; any octets are one.

    The time this takes is in proportion to their number; `limits` bounds the depth and the number
    of parts that are found.
    """
    spans: dict[str | None, Span] = {}
    root = _part(octets, scan(octets), "", spans)
    return Message(octets, root, spans)


def _part(octets: bytes, entity: Entity, section: str, spans: dict[str | None, Span]) -> Part:
    """RFC 9051 §6.4.5: a multipart that is the whole message has no number, a leaf is part 1."""
    is_leaf = entity.children is None
    part_id = section or ("1" if is_leaf else None)
    spans[part_id] = Span(entity.header, entity.content, entity.end)
    prefix = f"{section}." if section else ""
    fields = entity.fields
    disposition, disposition_pairs = parameters.split(fields.get(b"disposition", b""))
    has_lines = entity.type.startswith("text/") or entity.type in contentfields.MESSAGE_TYPES
    return Part(
        part_id=part_id,
        type=entity.type,
        parameters=parameters.from_list(entity.parameters),
        disposition=contentfields.text(disposition) or None,
        disposition_parameters=parameters.from_list(disposition_pairs),
        cid=contentfields.cid(fields.get(b"id", b"")) if is_leaf else None,
        language=contentfields.languages(fields.get(b"language", b"")),
        location=contentfields.location(fields.get(b"location", b"")),
        encoding=contentfields.encoding(fields.get(b"transfer-encoding", b""))
        if is_leaf
        else "7bit",
        size=entity.end - entity.content if is_leaf else 0,
        lines=octets.count(b"\n", entity.content, entity.end) if has_lines else None,
        children=tuple(
            _part(octets, child, f"{prefix}{number}", spans)
            for number, child in enumerate(entity.children or (), start=1)
        ),
    )
