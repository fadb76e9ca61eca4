"""RFC 8621 §4.1.2-4.1.3: header fields, their parsed forms and the convenience properties."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from gateway.mime import brackets, charset, dates, words
from gateway.mime.addresses import addresses as addresses
from gateway.mime.addresses import grouped
from gateway.mime.limits import MAX_FIELDS, MAX_VALUE_OCTETS

_FIELD = re.compile(
    rb"^([!-9;-~]++)[ \t]*+:((?>[^\n]*+(?:\n[ \t][^\n]*+)*))",
    re.MULTILINE,
)
_ASCII_FIELD = re.compile(_FIELD.pattern.decode("ascii"), re.MULTILINE)


def fields(block: bytes) -> list[tuple[str, bytes]]:
    """RFC 8621 §4.1.3 `headers`: name and raw value of each field, in order.

    `block` is a header, or a message, with CRLF or LF line ends. The value is everything after
    the colon without the final line end (RFC 8621 §4.1.2.1). Lines that are no field are left
    out; `limits` bounds the number of fields and the octets of a value.
    """
    return [
        (match[1].decode("ascii"), _value(match[2]))
        for match in islice(_FIELD.finditer(block, 0, _end(block)), MAX_FIELDS)
    ]


def email_headers(block: bytes) -> list[dict[str, str]]:
    """RFC 8621 §4.1.3 `headers`: EmailHeader objects with values in Raw form, in order."""
    if not block.isascii() or b"\0" in block or len(block) > MAX_VALUE_OCTETS:
        return [{"name": name, "value": raw(value)} for name, value in fields(block)]
    # Nearly all are so, and then they are decoded in one piece.
    found = islice(_ASCII_FIELD.finditer(block[: _end(block)].decode("ascii")), MAX_FIELDS)
    return [{"name": match[1], "value": match[2].removesuffix("\r")} for match in found]


def has_fields(block: bytes) -> bool:
    """Whether there is any header field; `block` as for fields()."""
    return _FIELD.search(block, 0, _end(block)) is not None


def _end(block: bytes) -> int:
    """RFC 5322 §2.1: where the header ends, at the first empty line."""
    if block.startswith((b"\r\n", b"\n")):
        return 0
    ends = [end for end in (block.find(b"\n\r\n"), block.find(b"\n\n")) if end >= 0]
    return min(ends) + 1 if ends else len(block)


def _value(octets: bytes) -> bytes:
    if len(octets) > MAX_VALUE_OCTETS:
        return octets[:MAX_VALUE_OCTETS]
    return octets.removesuffix(b"\r")


# --- RFC 8621 §4.1.2: parsed forms, each a function of the raw value ----------------------------


def raw(value: bytes) -> str:
    """RFC 8621 §4.1.2.1: the value as it is; what is not UTF-8 becomes U+FFFD, NUL is dropped."""
    if value.isascii():
        text = value.decode("ascii")
    else:
        text = charset.sendable(value.decode("utf-8", "replace"))
    return text.replace("\0", "")


def text(value: bytes) -> str:
    """RFC 8621 §4.1.2.2: unfolded, trimmed, encoded-words decoded, in NFC."""
    return words.decode(words.unfold(value).strip(b" \t\r"))


def grouped_addresses(value: bytes) -> list[dict[str, Any]]:
    """RFC 8621 §4.1.2.4: EmailAddressGroup[]."""
    return [{"name": name, "addresses": members} for name, members in grouped(value)]


def message_ids(value: bytes) -> list[str] | None:
    """RFC 8621 §4.1.2.5: msg-ids without brackets; None if there is none."""
    return [words.plain(item) for item in brackets.items(value)] or None


def date(value: bytes) -> str | None:
    """RFC 8621 §4.1.2.6: the date with the offset it has, `Z` for UTC; None if it is no date."""
    moment = dates.parse(value)
    if moment is None:
        return None
    shown = moment.isoformat()
    return shown[:-6] + "Z" if shown.endswith("+00:00") else shown


def date_seconds(value: bytes) -> int:
    """RFC 5256 §2.2: the sent date in seconds since 1970 in UTC; 0 if it is no date."""
    moment = dates.parse(value)
    return int(moment.timestamp()) if moment else 0


def urls(value: bytes) -> list[str] | None:
    """RFC 8621 §4.1.2.7: the URLs in brackets; None if there is none."""
    return message_ids(value)


# --- RFC 8621 §4.1.3: convenience properties ----------------------------------------------------

Form = Callable[[bytes], Any]

_CONVENIENCE: Final[tuple[tuple[str, bytes, Form], ...]] = (
    ("messageId", b"message-id", message_ids),
    ("inReplyTo", b"in-reply-to", message_ids),
    ("references", b"references", message_ids),
    ("sender", b"sender", addresses),
    ("from", b"from", addresses),
    ("to", b"to", addresses),
    ("cc", b"cc", addresses),
    ("bcc", b"bcc", addresses),
    ("replyTo", b"reply-to", addresses),
    ("subject", b"subject", text),
    ("sentAt", b"date", date),
)
CONVENIENCE: Final = tuple(name for name, _, _ in _CONVENIENCE)
"""The names of the convenience properties."""


def convenience(block: bytes) -> dict[str, Any]:
    """The convenience properties of a header, None for each whose field is not there.

    They equal their `header:...` forms: the last instance of a field counts.
    """
    last = {
        match[1].lower(): match[2]
        for match in islice(_FIELD.finditer(block, 0, _end(block)), MAX_FIELDS)
    }
    return {
        name: form(_value(last[field])) if field in last else None
        for name, field, form in _CONVENIENCE
    }
