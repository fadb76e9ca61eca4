"""RFC 8621 §4.1.2, §4.1.3: the header properties of an Email."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.imap.wire import encode
from gateway.mime import header_property, headers
from gateway.mime.header_property import HeaderProperty
from gateway.mime.headers import CONVENIENCE
from gateway.sync.fetching import HEADER_FIELDS

INDEXED_FIELDS: Final = frozenset(name.lower() for name in HEADER_FIELDS)
"""The fields that the index keeps of every Email it has shown, in lower case."""


@dataclass(frozen=True, slots=True)
class HeaderRequest:
    """The header properties asked for: by their own names, as `header:...`, or `headers`."""

    convenience: tuple[str, ...]
    dynamic: tuple[HeaderProperty, ...]
    is_whole: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the header is asked for."""
        return not (self.convenience or self.dynamic or self.is_whole)

    @property
    def fields(self) -> frozenset[str]:
        """The fields of the dynamic properties, in lower case."""
        return frozenset(each.field for each in self.dynamic)

    @property
    def is_askable(self) -> bool:
        """Whether IMAP has words for these fields: RFC 5322 has names that are no atoms."""
        return all(encode.is_header_field(field) for field in self.fields)

    def values(self, convenience: Mapping[str, Any], block: bytes) -> dict[str, Any]:
        """The properties, from all convenience properties and from the header for the others."""
        shown = {name: convenience[name] for name in self.convenience}
        if self.dynamic:
            shown |= header_property.values(self.dynamic, headers.fields(block))
        if self.is_whole:
            shown["headers"] = headers.email_headers(block)
        return shown


def header_request(properties: Sequence[str]) -> HeaderRequest:
    """What of checked property names of an Email is about its header."""
    dynamic = (header_property.parse(name) for name in properties if name.startswith("header:"))
    return HeaderRequest(
        tuple(name for name in properties if name in CONVENIENCE),
        tuple(each for each in dynamic if each is not None),
        "headers" in properties,
    )
