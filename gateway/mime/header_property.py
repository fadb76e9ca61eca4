"""RFC 8621 §4.1.2, §4.1.3: properties named `header:<field>[:as<Form>][:all]`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from gateway.mime import headers
from gateway.mime.headers import Form

_ADDRESSES = ("From", "Sender", "Reply-To", "To", "Cc", "Bcc")
_RESENT_ADDRESSES = ("Resent-From", "Resent-Sender", "Resent-Reply-To", "Resent-To", "Resent-Cc")
_MESSAGE_IDS = ("Message-ID", "In-Reply-To", "References", "Resent-Message-ID")
_URLS = ("Help", "Unsubscribe", "Subscribe", "Post", "Owner", "Archive")
_TEXTS = ("Subject", "Comments", "Keywords", "List-Id")


def _names(*names: str) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


# Each form with the fields of RFC 5322 and RFC 2369 that may be had in it.
_ADDRESS_FIELDS = _names(*_ADDRESSES, *_RESENT_ADDRESSES, "Resent-Bcc")
_FORMS: Final[Mapping[str, tuple[Form, frozenset[str]]]] = {
    "asText": (headers.text, _names(*_TEXTS)),
    "asAddresses": (headers.addresses, _ADDRESS_FIELDS),
    "asGroupedAddresses": (headers.grouped_addresses, _ADDRESS_FIELDS),
    "asMessageIds": (headers.message_ids, _names(*_MESSAGE_IDS)),
    "asDate": (headers.date, _names("Date", "Resent-Date")),
    "asURLs": (headers.urls, _names(*(f"List-{name}" for name in _URLS))),
}
# What these RFCs define, and thus may not be had in another form than theirs; RFC 8621 §4.1.2.2
# names List-Id (RFC 2919) along with them, but any other field may be had in any form.
_DEFINED = frozenset().union(*(fields for _, fields in _FORMS.values())) - {"list-id"} | {
    "return-path",
    "received",
}
# RFC 5322 §2.2: a field name, of which RFC 8621 §4.1.3 takes the colon for its own.
_NAME = re.compile(r"header:([!-9;-~]++)(:as[A-Za-z]++)?(:all)?")


@dataclass(frozen=True, slots=True)
class HeaderProperty:
    """`name` is as the client wrote it, `field` in lower case."""

    name: str
    field: str
    form: Form
    is_all: bool

    def value(self, instances: Sequence[bytes]) -> Any:
        """The property of a header with these raw values of the field, in their order."""
        if self.is_all:
            return [self.form(value) for value in instances]
        return self.form(instances[-1]) if instances else None


@lru_cache(maxsize=512)
def parse(name: str) -> HeaderProperty | None:
    """The property of that name; None if there is none, or not in that form of that field."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    field = match[1].lower()
    if match[2] is None:
        return HeaderProperty(name, field, headers.raw, match[3] is not None)
    form, fields = _FORMS.get(match[2][1:], (None, frozenset[str]()))
    if form is None or (field in _DEFINED and field not in fields):
        return None
    return HeaderProperty(name, field, form, match[3] is not None)


def values(
    properties: Iterable[HeaderProperty], fields: Iterable[tuple[str, bytes]]
) -> dict[str, Any]:
    """Header properties by name, from the fields of a header (see `headers.fields`)."""
    properties = tuple(properties)
    instances: dict[str, list[bytes]] = {each.field: [] for each in properties}
    for name, value in fields:
        if (known := instances.get(name.lower())) is not None:
            known.append(value)
    return {each.name: each.value(instances[each.field]) for each in properties}
