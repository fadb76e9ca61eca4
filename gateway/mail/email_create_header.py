"""RFC 8621 §4.6: the header properties of an Email, or of a part of it, that is created."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.mail.email_create_problems import Problems
from gateway.mime import compose_forms, header_property, headers
from gateway.mime.compose_field import Unwritable
from gateway.mime.header_property import HeaderProperty
from gateway.mime.limits import MAX_FIELDS

# RFC 8621 §4.1.3: what the convenience properties stand for, in the order they are written.
_CONVENIENCE: Final = {
    "sentAt": "header:Date:asDate",
    "from": "header:From:asAddresses",
    "sender": "header:Sender:asAddresses",
    "replyTo": "header:Reply-To:asAddresses",
    "to": "header:To:asAddresses",
    "cc": "header:Cc:asAddresses",
    "bcc": "header:Bcc:asAddresses",
    "messageId": "header:Message-ID:asMessageIds",
    "inReplyTo": "header:In-Reply-To:asMessageIds",
    "references": "header:References:asMessageIds",
    "subject": "header:Subject:asText",
}
_ORDER: Final = tuple(form.split(":")[1].lower() for form in _CONVENIENCE.values())
_ONCE = "The same field is given twice."


@dataclass(frozen=True, slots=True)
class Given:
    """A property that stands for header fields.

    field: in lower case. written: the fields, each with its CRLF; there may be none.
    """

    path: str
    field: str
    written: tuple[bytes, ...]


def of_email(email: Mapping[str, Any], problems: Problems) -> list[Given]:
    """The header properties of an Email, in the order they are to be written."""
    if email.get("headers") is not None:
        problems.add("headers", "Each field is a property of its own.")
    given = []
    for name, value in email.items():
        if name in _CONVENIENCE or name.startswith("header:"):
            found = read(name, _CONVENIENCE.get(name, name), value, problems)
            if found is not None and found.field.startswith("content-"):
                problems.add(name, "It is a field of a body part.")
            elif found is not None:
                given.append(found)
    check_once(given, problems)
    return sorted(given, key=_rank)


def read(path: str, name: str, value: Any, problems: Problems) -> Given | None:
    """One property named `header:...`, at `path`; None if it is null or invalid."""
    known = header_property.parse(name)
    if known is None:
        problems.add(path, "There is no such field in this form.")
        return None
    if value is None:
        return None
    if known.field == "content-transfer-encoding":
        problems.add(path, "The server chooses the encoding.")
        return None
    try:
        return Given(path, known.field, tuple(_written(known, name, value)))
    except Unwritable as error:
        problems.add(path, str(error))
        return None


def _written(known: HeaderProperty, name: str, value: Any) -> Iterable[bytes]:
    values = value if known.is_all else [value]
    if not isinstance(values, list) or len(values) > MAX_FIELDS:
        raise Unwritable(f"It is no list of at most {MAX_FIELDS} values.")
    field = name.split(":")[1]
    written = [compose_forms.write(field, known.form, each) for each in values]
    return [each for each in written if each]


def check_once(given: Iterable[Given], problems: Problems) -> None:
    """No two properties stand for the same field."""
    by_field: defaultdict[str, list[Given]] = defaultdict(list)
    for each in given:
        by_field[each.field].append(each)
    for same in by_field.values():
        if len(same) > 1:
            for each in same:
                problems.add(each.path, _ONCE)


def check_apart(own: Iterable[Given], root: Iterable[Given], problems: Problems) -> None:
    """The part that is the message has no field that the Email has."""
    fields = {each.field for each in own}
    for each in root:
        if each.field in fields:
            problems.add(each.path, _ONCE)


def value(given: Iterable[Given], field: str) -> bytes | None:
    """The raw value of the last instance of a field, None if there is none."""
    written = [octets for each in given if each.field == field for octets in each.written]
    return headers.fields(written[-1])[0][1] if written else None


def _rank(given: Given) -> int:
    return _ORDER.index(given.field) if given.field in _ORDER else len(_ORDER)
