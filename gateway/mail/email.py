"""RFC 8621 §4: Email. Every property says what has to be read to fill it."""

from __future__ import annotations

from gateway.jmap.spec import (
    BOOLEAN,
    STRING_LIST,
    UNSIGNED_INT,
    Argument,
    DataType,
    Get,
    Property,
    nullable,
)
from gateway.mail import email_get, email_query
from gateway.mail.capability import MAIL
from gateway.mail.email_get import ATTACHMENT, HEADER, INDEX, PREVIEW, STRUCTURE, VALUES
from gateway.mime.headers import CONVENIENCE

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
        sources=INDEX | ATTACHMENT | HEADER | STRUCTURE | PREVIEW | VALUES,
        all_ids=False,
        arguments=(
            Argument("bodyProperties", nullable(STRING_LIST)),
            Argument("fetchTextBodyValues", BOOLEAN, False),
            Argument("fetchHTMLBodyValues", BOOLEAN, False),
            Argument("fetchAllBodyValues", BOOLEAN, False),
            Argument("maxBodyValueBytes", UNSIGNED_INT, 0),
        ),
    ),
    query=email_query.QUERY,
)
