"""RFC 8621 §4.1.2: each form of a header field, as it is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from gateway.mime import compose_address, compose_field, compose_words, headers
from gateway.mime.compose_field import MAX_LINE, MAX_WORD, Unwritable, checked, field
from gateway.mime.headers import Form

_FOLD = re.compile(r"\r\n(?=[ \t])")
_BRACKETED = re.compile(r"[^\s<>\u0080-\u009f]++")
# RFC 8620 §1.4, RFC 3339 §5.6; a leap second is written as the one before, as it is read.
_DATE = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:)(\d\d)(\.\d++)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_DOMAIN = re.compile(r"[A-Za-z0-9-]{1,63}(?>(?:\.[A-Za-z0-9-]{1,63})+)")
_NO_DOMAIN: Final = "localhost"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def write(name: str, form: Form, value: Any) -> bytes:
    """The field `name` with its CRLF, that the form reads as `value`; b"" if there is none then.

    Raises Unwritable if the value is not of the form, or can not stand in a header.
    """
    return _WRITERS[form](name, value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise Unwritable("It is no String.")
    return checked(value)


def _raw(name: str, value: Any) -> bytes:
    """RFC 8621 §4.1.2.1: as it is; folded only if it has to be.

    What was read from another message may be folded, which says nothing (RFC 5322 §2.2.3).
    """
    given = _string(_FOLD.sub("", value) if isinstance(value, str) else value)
    octets = given.encode()
    if len(name) + 1 + len(octets) <= MAX_LINE:
        return f"{name}:".encode("ascii") + octets + b"\r\n"
    return field(name, compose_field.words(given))


def _text(name: str, value: Any) -> bytes:
    return field(name, compose_words.text(_string(value), name=name))


def _addresses(name: str, value: Any) -> bytes:
    return _unless_empty(name, compose_address.addresses(value))


def _grouped_addresses(name: str, value: Any) -> bytes:
    return _unless_empty(name, compose_address.groups(value))


def _message_ids(name: str, value: Any) -> bytes:
    return _bracketed(name, value, b"", "a msg-id")


def _urls(name: str, value: Any) -> bytes:
    return _bracketed(name, value, b",", "a URL")


def _bracketed(name: str, value: Any, separator: bytes, what: str) -> bytes:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unwritable("It is no String[].")
    for item in value:
        if not _BRACKETED.fullmatch(checked(item)):
            raise Unwritable(f"White space or angle brackets in {what}, or nothing.")
        if len(item.encode()) > MAX_WORD:
            raise Unwritable(f"More than {MAX_WORD} octets in {what}.")
    words = [f" <{item}>".encode() for item in value]
    return _unless_empty(name, [*(word + separator for word in words[:-1]), *words[-1:]])


def _date(name: str, value: Any) -> bytes:
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[2]) > 60:
        raise Unwritable("It is no Date (RFC 8620 §1.4).")
    second = min(int(match[2]), 59)
    try:
        moment = datetime.fromisoformat(f"{match[1]}{second:02}{match[4].upper()}")
    except ValueError:
        raise Unwritable("There is no such date.") from None
    return field(name, compose_field.words(f" {date_time(moment)}"))


def _unless_empty(name: str, words: list[bytes]) -> bytes:
    return field(name, words) if words else b""


def date_time(moment: datetime) -> str:
    """RFC 5322 §3.3: a moment that has an offset."""
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day} {_MONTHS[moment.month - 1]} "
        f"{moment.year:04} {moment:%H:%M:%S %z}"
    )


def message_id(token: str, authors: Iterable[str]) -> bytes:
    """RFC 5322 §3.6.4: a Message-ID with its brackets, of a token that no other has.

    authors: the addresses of who writes; the first domain of theirs that can be one is taken.
    """
    domains = (author.rpartition("@")[2] for author in authors)
    domain = next((each for each in domains if _DOMAIN.fullmatch(each)), _NO_DOMAIN)
    return f"<{token}@{domain}>".encode()


_WRITERS: Final[Mapping[Form, Callable[[str, Any], bytes]]] = {
    headers.raw: _raw,
    headers.text: _text,
    headers.addresses: _addresses,
    headers.grouped_addresses: _grouped_addresses,
    headers.message_ids: _message_ids,
    headers.date: _date,
    headers.urls: _urls,
}
