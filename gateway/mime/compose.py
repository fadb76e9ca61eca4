"""RFC 5322, RFC 2045, RFC 2046: a message, written as pieces of which the large ones are elsewhere.

What makes each message different (its boundaries, its date) is given, not made here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gateway.mime import compose_field, compose_text
from gateway.mime.compose_enclosed import Encoding, Measure
from gateway.mime.compose_parameters import fallback, parameterized

MIME_VERSION: Final = b"MIME-Version: 1.0\r\n"


@dataclass(frozen=True, slots=True)
class Blob:
    """The content of a part that is somewhere else, under a name for it."""

    id: str


@dataclass(frozen=True, slots=True)
class Fields:
    """The content of a part that is fields, written, as those of reports: each with its CRLF."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class NewPart:
    """A part to be written.

    content: a text, fields, octets from elsewhere, or the parts of a multipart. parameters: of the
    type, without charset and boundary where they follow from the content. cid: that of the
    Content-ID in `fields`, which are further fields by name, as they are written.
    """

    type: str
    content: str | Fields | Blob | tuple[NewPart, ...]
    parameters: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    disposition: str | None = None
    disposition_parameters: Mapping[str, str] = field(default_factory=dict)
    cid: str | None = None
    fields: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Enclosed:
    """Where octets from elsewhere are to stand, which take `size` octets when encoded."""

    id: str
    encoding: Encoding
    size: int


Piece: TypeAlias = bytes | Enclosed


def write(
    fields: Sequence[bytes], root: NewPart, measures: Mapping[str, Measure], token: str
) -> list[Piece]:
    """The pieces of a message.

    `fields` are those of its header, written, without what `root` adds. measures: of the octets
    from elsewhere, by their names. token: hexadecimal digits that no one can foretell, of which the
    boundaries are made. Raises Unwritable.
    """
    entity = _Writer(measures, token).entity(root)
    return _merged([*fields, *entity.pieces])


def size(pieces: Sequence[Piece]) -> int:
    """Octets that the pieces have together."""
    return sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in pieces)


def _merged(pieces: Sequence[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            run.append(piece)
            continue
        merged += (b"".join(run), piece)
        run = []
    return [*merged, b"".join(run)]


@dataclass(slots=True)
class _Entity:
    pieces: list[Piece]
    is_eight_bit: bool


@dataclass(slots=True)
class _Content:
    """What stands after the header of a part, and what the header says of it."""

    type: str
    parameters: dict[str, str]
    encoding: str
    pieces: list[Piece]


class _Writer:
    def __init__(self, measures: Mapping[str, Measure], token: str) -> None:
        self._measures = measures
        self._token = token
        self._multiparts = 0

    def entity(self, part: NewPart) -> _Entity:
        """A part, or the message itself but for the fields that only a message has."""
        content = self._content(part)
        disposition = part.disposition
        names = {}
        if part.name and disposition is not None:
            names = {"filename": part.name}
            content.parameters.setdefault("name", fallback(part.name))
        elif part.name:
            content.parameters.setdefault("name", part.name)
        header = [parameterized("Content-Type", content.type, content.parameters)]
        if content.encoding != "7bit" or not isinstance(part.content, tuple):
            encoding = content.encoding.encode()
            header.append(compose_field.field("Content-Transfer-Encoding", [b" " + encoding]))
        if disposition is not None:
            parameters = {**part.disposition_parameters, **names}
            header.append(parameterized("Content-Disposition", disposition, parameters))
        header += (octets for _, octets in part.fields)
        return _Entity([*header, b"\r\n", *content.pieces], content.encoding == "8bit")

    def _content(self, part: NewPart) -> _Content:
        match part.content:
            case str(value):
                text = compose_text.encode(value)
                # Also where ASCII would do: HTML may name another charset in itself.
                parameters = {"charset": "utf-8", **_without(part.parameters, "charset")}
                return _Content(part.type, parameters, text.encoding, [text.octets])
            case Fields(octets):
                return _fields(part, octets)
            case Blob(id):
                return self._enclosed(part, id)
            case children:
                return self._multipart(part, children)

    def _enclosed(self, part: NewPart, id: str) -> _Content:
        """RFC 2046 §5.2: messages are not encoded, everything else is in base64.

        A message that can not be left as it is is a message/global, which can be encoded (RFC 6532
        §3.7); the other types of messages are defined as lines of text, or they are not such.
        """
        measure, type_ = self._measures[id], part.type
        encoding = None
        if type_.startswith("message/"):
            encoding = measure.encoding()
            if encoding is None and type_ == "message/rfc822":
                type_ = "message/global"
            elif encoding is None and not type_.startswith("message/global"):
                type_ = "application/octet-stream"
        encoding = encoding or Encoding.BASE64
        enclosed = Enclosed(id, encoding, measure.encoded_size(encoding))
        return _Content(type_, dict(part.parameters), encoding.value, [enclosed])

    def _multipart(self, part: NewPart, children: Sequence[NewPart]) -> _Content:
        """RFC 2046 §5.1.1. "=_" is in no line that is encoded."""
        self._multiparts += 1
        boundary = f"=_{self._multiparts}_{self._token}"
        parameters = {"boundary": boundary, **_without(part.parameters, "boundary")}
        if part.type == "multipart/related":  # RFC 2387 §3.1
            parameters.setdefault("type", children[0].type)
        pieces: list[Piece] = []
        is_eight_bit = False
        for child in children:
            entity = self.entity(child)
            is_eight_bit |= entity.is_eight_bit
            pieces += (f"--{boundary}\r\n".encode(), *entity.pieces, b"\r\n")
        pieces.append(f"--{boundary}--\r\n".encode())
        # RFC 2045 §6.4: a multipart has what its parts have.
        return _Content(part.type, parameters, "8bit" if is_eight_bit else "7bit", pieces)


def _fields(part: NewPart, octets: bytes) -> _Content:
    """RFC 3464 §2.1, RFC 8098 §3.1: in 7bit; what can not be so is another type (RFC 6533)."""
    if octets.isascii():
        return _Content(part.type, dict(part.parameters), "7bit", [octets])
    type_ = part.type.replace("message/", "message/global-", 1)
    encoded = compose_text.base64_lines(octets)
    return _Content(type_, dict(part.parameters), "base64", [encoded])


def _without(parameters: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in parameters.items() if key != name}
