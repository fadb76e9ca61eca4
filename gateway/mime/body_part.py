"""RFC 8621 §4.1.4: EmailBodyPart objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.mime import header_property, headers
from gateway.mime.structure import Part

DEFAULT_PROPERTIES: Final = (
    *("partId", "blobId", "size", "name", "type"),
    *("charset", "disposition", "cid", "language", "location"),
)
"""RFC 8621 §4.2: the EmailBodyPart properties that come when none are asked for."""


class PartSource(Protocol):
    """What must be known of a part besides its structure."""

    def blob_id(self, part: Part) -> str:
        """The blobId of a part that is no multipart."""
        ...

    def size(self, part: Part) -> int:
        """Octets after transfer decoding."""
        ...

    def header(self, part: Part) -> bytes:
        """The header of the part; of the root, that of the message."""
        ...


_Value = Callable[[Part, PartSource], Any]


_VALUES: Final[dict[str, _Value]] = {
    "partId": lambda part, _source: None if part.is_multipart else part.part_id,
    "blobId": lambda part, source: None if part.is_multipart else source.blob_id(part),
    "size": lambda part, source: source.size(part),
    "name": lambda part, _source: part.name,
    "type": lambda part, _source: part.type,
    "charset": lambda part, _source: part.charset,
    "disposition": lambda part, _source: part.disposition,
    "cid": lambda part, _source: part.cid,
    "language": lambda part, _source: list(part.language) if part.language else None,
    "location": lambda part, _source: part.location,
    "headers": lambda part, source: headers.email_headers(source.header(part)),
}
_SUB_PARTS = "subParts"


@dataclass(frozen=True, slots=True)
class Shape:
    """The properties that EmailBodyPart objects are to have."""

    values: tuple[tuple[str, _Value], ...]
    header_properties: tuple[header_property.HeaderProperty, ...]
    has_sub_parts: bool

    @property
    def needs_headers(self) -> bool:
        """Whether the headers of parts are looked at."""
        return bool(self.header_properties) or any(name == "headers" for name, _ in self.values)


class UnknownProperties(ValueError):
    """EmailBodyPart has no properties of these `names`."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


def shape(properties: Iterable[str]) -> Shape:
    """The shape with these properties. Raises UnknownProperties."""
    names = tuple(dict.fromkeys(properties))
    dynamic = {name: header_property.parse(name) for name in names if name.startswith("header:")}
    unknown = [n for n in names if n not in _VALUES and n != _SUB_PARTS and dynamic.get(n) is None]
    if unknown:
        raise UnknownProperties(unknown)
    return Shape(
        tuple((name, _VALUES[name]) for name in names if name in _VALUES),
        tuple(each for each in dynamic.values() if each is not None),
        _SUB_PARTS in names,
    )


def body_part(
    part: Part, source: PartSource, shape: Shape, *, with_sub_parts: bool = False
) -> dict[str, Any]:
    """An EmailBodyPart; `with_sub_parts` even if they are not in the shape, as bodyStructure."""
    shown = {name: value(part, source) for name, value in shape.values}
    if shape.header_properties:
        fields = headers.fields(source.header(part))
        shown |= header_property.values(shape.header_properties, fields)
    if with_sub_parts or shape.has_sub_parts:
        shown[_SUB_PARTS] = (
            [
                body_part(child, source, shape, with_sub_parts=with_sub_parts)
                for child in part.children
            ]
            if part.is_multipart
            else None
        )
    return shown
