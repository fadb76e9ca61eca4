"""RFC 8621 §4.9: octets to the Email that they are, as Email/parse shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from gateway.jmap.errors import invalid_arguments, quoted, request_too_large
from gateway.jmap.limits import Limits
from gateway.mail import email_body
from gateway.mail.body_values import MAX_VALUE_OCTETS
from gateway.mail.email_body import BodyRequest
from gateway.mail.email_headers import HeaderRequest, header_request
from gateway.mime import body, header_property, headers, message, preview, transfer
from gateway.mime.headers import CONVENIENCE
from gateway.mime.structure import Part
from gateway.sync import ids

_DEFAULT_PROPERTIES = (
    *CONVENIENCE,
    *("hasAttachment", "preview", "bodyValues", *email_body.LISTS),
)


@dataclass(frozen=True, slots=True)
class ParseRequest:
    """What is asked of each message."""

    properties: tuple[str, ...]
    headers: HeaderRequest
    bodies: BodyRequest


def parse_request(arguments: Mapping[str, Any], limits: Limits) -> ParseRequest:
    """What the checked arguments of Email/parse ask.

    Raises MethodError invalidArguments or requestTooLarge.
    """
    wanted = arguments["properties"]
    names = tuple(dict.fromkeys(_DEFAULT_PROPERTIES if wanted is None else wanted))
    if len(names) > limits.max_properties_in_get:
        raise request_too_large(f"At most {limits.max_properties_in_get} properties can be named.")
    if unknown := [name for name in names if not _is_property(name)]:
        raise invalid_arguments(f"Email has no properties {quoted(unknown)}.")
    return ParseRequest(names, header_request(names), email_body.body_request(arguments))


def _is_property(name: str) -> bool:
    if name in _VALUES or name in CONVENIENCE or name in ("headers", "bodyStructure"):
        return True
    return name in email_body.LISTS or header_property.parse(name) is not None


def parsed_email(octets: bytes, blob_id: str, request: ParseRequest) -> dict[str, Any] | None:
    """The Email that a blob is, None if it begins with no header field at all."""
    parsed = _Parsed(octets, blob_id, request)
    if not headers.has_fields(parsed.own_header):
        return None
    email = {name: _VALUES[name](parsed) for name in request.properties if name in _VALUES}
    if not request.headers.is_empty:
        convenience = headers.convenience(parsed.own_header) if request.headers.convenience else {}
        email |= request.headers.values(convenience, parsed.own_header)
    return email | email_body.describe(
        parsed.message.root, parsed, request.properties, request.bodies.shape
    )


class _Parsed:
    """A message, and the source of what its parts show."""

    def __init__(self, octets: bytes, blob_id: str, request: ParseRequest) -> None:
        self.octets = octets
        self.request = request
        self.message = message.parse(octets)
        self.own_blob_id = blob_id

    @cached_property
    def own_header(self) -> bytes:
        return self.header(self.message.root)

    def blob_id(self, part: Part) -> str:
        """RFC 8621 §4.1.4: blobId of a part."""
        return ids.part_blob_id(self.own_blob_id, part.part_id or "1")

    def size(self, part: Part) -> int:
        """Octets after transfer decoding."""
        if part.is_multipart:
            return 0
        return len(transfer.decode(self.message.content(part), part.encoding)[0])

    def header(self, part: Part) -> bytes:
        """The header of a part."""
        return self.message.header(part)

    def value(self, part: Part, limit: int) -> dict[str, Any]:
        """The EmailBodyValue of a text part."""
        content = self.message.content(part)
        needed = body.octets_needed(part, limit)
        return body.body_value(content if needed is None else content[:needed], part, limit)


def _body_values(parsed: _Parsed) -> dict[str | None, Any]:
    bodies = parsed.request.bodies
    limit = min(bodies.max_bytes or MAX_VALUE_OCTETS, MAX_VALUE_OCTETS)
    parts = email_body.parts_with_values(parsed.message.root, bodies)
    return {part.part_id: parsed.value(part, limit) for part in parts}


def _preview(parsed: _Parsed) -> str:
    return preview.preview_of(
        (parsed.value(part, preview.TEXT_OCTETS)["value"], part.type == "text/html")
        for part in body.preview_texts(parsed.message.root)
    )


_VALUES: Final[dict[str, Callable[[_Parsed], Any]]] = {
    "id": lambda _: None,
    "blobId": lambda parsed: parsed.own_blob_id,
    # In which Thread it would be depends on the Emails that there are when it is imported.
    "threadId": lambda _: None,
    "mailboxIds": lambda _: None,
    "keywords": lambda _: None,
    "size": lambda parsed: len(parsed.octets),
    "receivedAt": lambda _: None,
    "hasAttachment": lambda parsed: body.has_attachment(parsed.message.root),
    "preview": _preview,
    "bodyValues": _body_values,
}
