"""RFC 8621 §4: Email. Every property says what has to be read to fill it."""

from __future__ import annotations

from dataclasses import replace

from gateway.jmap.kinds import ID, STRING, UTC_DATE, Kind, set_of
from gateway.jmap.settable import ABSENT, Copy, Set, Settable
from gateway.jmap.spec import Changes, DataType, Get, Property, Special
from gateway.mail import (
    changes,
    email_body,
    email_copy,
    email_get,
    email_import,
    email_parse,
    email_query,
    email_set,
)
from gateway.mail.capability import MAIL
from gateway.mail.email_get import ATTACHMENT, FIELDS, HEADER, INDEX, PREVIEW, STRUCTURE, VALUES
from gateway.mail.email_headers import INDEXED_FIELDS
from gateway.mime import header_property
from gateway.mime.headers import CONVENIENCE


def _header_property(name: str) -> Property | None:
    """RFC 8621 §4.1.3: a property named `header:...`."""
    parsed = header_property.parse(name)
    if parsed is None:
        return None
    sources = HEADER if parsed.field in INDEXED_FIELDS else FIELDS
    return Property(name, sources, default=False, settable=_COMPOSED)


# RFC 8621 §4.6: what a message is composed of; it is checked when that is done.
_COMPOSED = Settable(Kind("value", lambda _: True), ABSENT, immutable=True)
_OF_BLOBS = replace(_COMPOSED, refers_within="blobId")


def _is_header(name: str) -> bool:
    return name.startswith("header:")


EMAIL = DataType(
    "Email",
    MAIL,
    "RFC 8621 §4",
    properties=(
        Property("blobId", INDEX),
        Property("threadId", INDEX),
        Property("mailboxIds", INDEX, settable=Settable(set_of(ID), refers=True)),
        Property("keywords", INDEX, settable=Settable(set_of(STRING), {})),
        Property("size", INDEX),
        Property("receivedAt", INDEX, settable=Settable(UTC_DATE, ABSENT, immutable=True)),
        *(Property(name, HEADER, settable=_COMPOSED) for name in CONVENIENCE),
        Property("headers", FIELDS, default=False),
        Property("hasAttachment", ATTACHMENT),
        Property("preview", PREVIEW),
        Property("bodyStructure", STRUCTURE, default=False, settable=_OF_BLOBS),
        Property("bodyValues", VALUES, settable=_COMPOSED),
        Property("textBody", STRUCTURE, settable=_OF_BLOBS),
        Property("htmlBody", STRUCTURE, settable=_OF_BLOBS),
        Property("attachments", STRUCTURE, settable=_OF_BLOBS),
    ),
    get=Get(
        email_get.load,
        sources=INDEX | ATTACHMENT | HEADER | FIELDS | STRUCTURE | PREVIEW | VALUES,
        all_ids=False,
        arguments=email_body.ARGUMENTS,
        dynamic=_header_property,
    ),
    changes=Changes(changes.emails),
    query=email_query.QUERY,
    set=Set(email_set.open_set, extra=_is_header),
    copy=Copy(email_copy.run, email_copy.PROPERTIES),
    special=(
        Special("import", email_import.ARGUMENTS, email_import.run, writes=True),
        Special("parse", email_parse.ARGUMENTS, email_parse.run),
    ),
)
