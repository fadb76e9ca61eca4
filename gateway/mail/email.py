"""RFC 8621 §4: Email. Every property says what has to be read to fill it."""

from __future__ import annotations

from gateway.jmap.spec import Changes, DataType, Get, Property, Special
from gateway.mail import changes, email_body, email_get, email_parse, email_query
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
    return Property(name, HEADER if parsed.field in INDEXED_FIELDS else FIELDS, default=False)


EMAIL = DataType(
    "Email",
    MAIL,
    "RFC 8621 §4",
    properties=(
        Property("blobId", INDEX),
        Property("threadId", INDEX),
        Property("mailboxIds", INDEX),
        Property("keywords", INDEX),
        Property("size", INDEX),
        Property("receivedAt", INDEX),
        *(Property(name, HEADER) for name in CONVENIENCE),
        Property("headers", FIELDS, default=False),
        Property("hasAttachment", ATTACHMENT),
        Property("preview", PREVIEW),
        Property("bodyStructure", STRUCTURE, default=False),
        Property("bodyValues", VALUES),
        Property("textBody", STRUCTURE),
        Property("htmlBody", STRUCTURE),
        Property("attachments", STRUCTURE),
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
    special=(Special("parse", email_parse.ARGUMENTS, email_parse.run),),
)
