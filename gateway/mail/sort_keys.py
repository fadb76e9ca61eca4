"""RFC 8621 §4.4.2: what the sorts by from, to, subject and sentAt compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.mail.collation import sort_key
from gateway.mime import headers
from gateway.mime.basesubject import base_subject
from gateway.mime.threading import field_values

Key = Callable[[bytes, str], Any]


def _address(field: bytes) -> Key:
    def key(header: bytes, collation: str) -> str:
        (raw,) = field_values(header, (field,))
        addresses = headers.addresses(raw) if raw else None
        first = addresses[0] if addresses else {}
        return sort_key(first.get("name") or first.get("email") or "", collation)

    return key


def _subject(header: bytes, collation: str) -> str:
    (raw,) = field_values(header, (b"subject",))
    return sort_key(base_subject(headers.text(raw)) if raw else "", collation)


def _sent_at(header: bytes, _collation: str) -> int:
    (raw,) = field_values(header, (b"date",))
    return headers.date_seconds(raw) if raw else 0


KEYS: dict[str, Key] = {
    "from": _address(b"from"),
    "to": _address(b"to"),
    "subject": _subject,
    "sentAt": _sent_at,
}
