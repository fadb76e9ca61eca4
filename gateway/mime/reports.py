"""RFC 6522: multipart/report: what became of a message, told to people and to machines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.mime import body, headers, message, transfer
from gateway.mime.html import html_text
from gateway.mime.structure import Part

DELIVERY_STATUS: Final = "message/delivery-status"
DISPOSITION_NOTIFICATION: Final = "message/disposition-notification"
# RFC 6533 §4: the same with addresses in UTF-8.
_KINDS: Final = {
    DELIVERY_STATUS: DELIVERY_STATUS,
    "message/global-delivery-status": DELIVERY_STATUS,
    DISPOSITION_NOTIFICATION: DISPOSITION_NOTIFICATION,
    "message/global-disposition-notification": DISPOSITION_NOTIFICATION,
}
_MESSAGES: Final = frozenset({"message/rfc822", "message/global"})
_HEADERS: Final = frozenset({"text/rfc822-headers", "message/global-headers"})
_EMPTY_LINE = re.compile(rb"(?>(?:\r?\n[ \t]*+){2,})")
# Groups of fields, one for each recipient; who writes to more gets the first of them.
_MAX_GROUPS: Final = 1_000
_MAX_TEXT_OCTETS: Final = 256 * 1024

Fields = tuple[tuple[str, str], ...]
"""Names, as written, and values in one line."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a report tells.

    header: of the report itself. kind: DELIVERY_STATUS or DISPOSITION_NOTIFICATION. groups: the
    fields for machines, without empty groups. text: for people, plain also where the report has
    HTML only, None without any. original: the message that it is about, or its header, as far as it
    is enclosed; is_whole: which of both.
    """

    header: bytes
    kind: str
    groups: tuple[Fields, ...]
    text: str | None
    original: bytes | None
    is_whole: bool


def is_report(root: Part) -> bool:
    """Whether a message of that structure may be a report that parse() reads."""
    return any(part.type in _KINDS for part in root.children)


def parse(octets: bytes) -> Report | None:
    """The report that a message is; None when it is none, or there is nothing for machines."""
    whole = message.parse(octets)
    parts = whole.root.children
    machine = next((part for part in parts if part.type in _KINDS), None)
    if machine is None:
        return None
    groups = _groups(_decoded(whole, machine))
    if not groups:
        return None
    texts = [leaf for leaf in _leaves(parts, machine) if leaf.type.startswith("text/")]
    human = next((leaf for leaf in texts if leaf.type == "text/plain"), texts[0] if texts else None)
    enclosed = next((part for part in parts if part.type in _MESSAGES | _HEADERS), None)
    return Report(
        header=whole.header(whole.root),
        kind=_KINDS[machine.type],
        groups=groups,
        text=_text(whole, human) if human is not None else None,
        original=_decoded(whole, enclosed) if enclosed is not None else None,
        is_whole=enclosed is not None and enclosed.type in _MESSAGES,
    )


def _leaves(parts: tuple[Part, ...], machine: Part) -> list[Part]:
    """What comes before the part for machines: it is for people, in one form or several."""
    before = parts[: parts.index(machine)]
    return [leaf for part in before for leaf in body.leaves(part)]


def _decoded(whole: message.Message, part: Part) -> bytes:
    return transfer.decode(whole.content(part), part.encoding)[0]


def _text(whole: message.Message, part: Part) -> str:
    value: str = body.body_value(whole.content(part), part, _MAX_TEXT_OCTETS)["value"]
    return html_text(value, _MAX_TEXT_OCTETS) if part.type == "text/html" else value


def _groups(octets: bytes) -> tuple[Fields, ...]:
    """RFC 3464 §2.1: groups of fields, between them empty lines."""
    blocks = _EMPTY_LINE.split(octets.strip(b"\r\n"), maxsplit=_MAX_GROUPS)[:_MAX_GROUPS]
    groups = (
        tuple((name, headers.text(value)) for name, value in headers.fields(block))
        for block in blocks
    )
    return tuple(group for group in groups if group)


def value_of(group: Fields, name: str) -> str | None:
    """The value of the first field of that name, in whatever case; None when there is none."""
    return next((value for found, value in group if found.lower() == name), None)


def typed_address(address: str) -> str:
    """RFC 3464 §2.1.2, RFC 6533 §3: "type; address", which address_in() reads, in ASCII."""
    if address.isascii():
        return f"rfc822; {address}"
    return "utf-8; " + _TO_ESCAPE.sub(lambda match: f"\\x{{{ord(match[0]):02X}}}", address)


_TO_ESCAPE = re.compile(r"[^!-*,-<>-\[\]-~]")
_ESCAPED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")


def address_in(value: str) -> str:
    """RFC 3464 §2.1.2, RFC 6533 §3: the address in "type; address"."""
    type_, semicolon, address = value.partition(";")
    if not semicolon:
        return value.strip()
    address = address.strip()
    return _ESCAPED.sub(_unescaped, address) if type_.strip().lower() == "utf-8" else address


def _unescaped(match: re.Match[str]) -> str:
    point = int(match[1], 16)
    is_character = point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF
    return chr(point) if is_character else match[0]
