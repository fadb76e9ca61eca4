"""RFC 8621 §4.4.2: what the sorts by from, to, subject and sentAt compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.mime import headers
from gateway.mime.basesubject import base_subject
from gateway.mime.threading import field_values

Key = Callable[[bytes, bool], Any]


def _fold(text: str, ascii_only: bool) -> str:
    """i;ascii-casemap (RFC 4790 §9.2.1) or i;unicode-casemap (RFC 5051)."""
    if ascii_only:
        return "".join(c.lower() if c.isascii() else c for c in text)
    return text.casefold()


def _address(field: bytes) -> Key:
    def key(header: bytes, ascii_only: bool) -> str:
        (raw,) = field_values(header, (field,))
        addresses = headers.addresses(raw) if raw else None
        first = addresses[0] if addresses else {}
        return _fold(first.get("name") or first.get("email") or "", ascii_only)

    return key


def _subject(header: bytes, ascii_only: bool) -> str:
    (raw,) = field_values(header, (b"subject",))
    return _fold(base_subject(headers.text(raw)) if raw else "", ascii_only)


def _sent_at(header: bytes, _ascii_only: bool) -> int:
    (raw,) = field_values(header, (b"date",))
    return headers.date_seconds(raw) if raw else 0


KEYS: dict[str, Key] = {
    "from": _address(b"from"),
    "to": _address(b"to"),
    "subject": _subject,
    "sentAt": _sent_at,
}
