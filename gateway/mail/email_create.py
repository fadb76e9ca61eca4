"""RFC 8621 §4.6: the message that an Email to be created describes.

Nothing large is in memory: of uploads and of other messages, what is needed to know how long the
message will be is found out first, and their octets are read as they are sent.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from gateway.jmap.errors import SetError
from gateway.jmap.limits import Limits
from gateway.mail import email_create_body, email_create_header, enclosures, new_email
from gateway.mail.email_create_body import NewBody
from gateway.mail.email_create_header import Given
from gateway.mail.email_create_problems import Problems
from gateway.mime import compose as mime
from gateway.mime import compose_forms, headers
from gateway.mime.compose_field import Unwritable
from gateway.sync.account import Account
from gateway.sync.appending import Letter
from gateway.sync.data import AccountData
from gateway.sync.turns import off_loop


async def compose(account: Account, email: Mapping[str, Any], _limits: Limits) -> Letter:
    """The message that `email` describes, ready to be added to its Mailboxes.

    email: what is given of the Email, with references to creation ids resolved.
    Raises SetError invalidProperties with all that are invalid, blobNotFound with all that are not
    found, tooLarge, forbidden where mail may not be added; ImapError.
    """
    problems = Problems()
    mailbox_ids, keywords, received = _metadata(account.data, email, problems)
    characters = _characters(email)
    given, body = await off_loop(characters, _read, email, problems)
    message_id = _check_message_id([*given, *body.root_header], problems)
    problems.check()
    measures = await enclosures.measured(account, body.root, body.blob_ids)
    token = secrets.token_hex(16)
    message_id = message_id or compose_forms.message_id(token, _authors(given))
    fields = _completed(given, body, message_id)
    try:
        pieces = await off_loop(characters, mime.write, fields, body.root, measures, token)
    except Unwritable as error:  # each field was written before, on its own
        raise SetError("invalidProperties", str(error)) from error

    return Letter(
        mailbox_ids,
        keywords,
        received,
        mime.size(pieces),
        partial(enclosures.chunks, account, pieces),
        message_id,
    )


def _read(email: Mapping[str, Any], problems: Problems) -> tuple[list[Given], NewBody]:
    given = email_create_header.of_email(email, problems)
    body = email_create_body.read(email, problems)
    email_create_header.check_apart(given, body.root_header, problems)
    return given, body


def _characters(value: object) -> int:
    """How many there are in a JSON value, about."""
    match value:
        case str():
            return len(value)
        case dict():
            return sum(map(len, value)) + sum(map(_characters, value.values()))
        case list():
            return sum(map(_characters, value))
    return 1


def _metadata(
    data: AccountData, email: Mapping[str, Any], problems: Problems
) -> tuple[frozenset[str], frozenset[str], datetime]:
    """RFC 8621 §4.1.1: mailboxIds, keywords, receivedAt."""
    mailbox_ids = keywords = frozenset[str]()
    received = datetime.now(UTC).replace(microsecond=0)
    try:
        mailbox_ids = new_email.mailbox_ids(data, email.get("mailboxIds"), lambda _id: None)
    except SetError as error:
        problems.add_error(error)
    try:
        keywords = new_email.keywords(email.get("keywords") or {})
    except SetError as error:
        problems.add_error(error)
    if email.get("receivedAt") is not None:
        try:
            received = new_email.received_at(email["receivedAt"])
        except SetError as error:
            problems.add_error(error)
    return mailbox_ids, keywords, received


# --- the header -----------------------------------------------------------------------------------


def _check_message_id(given: Sequence[Given], problems: Problems) -> bytes | None:
    """RFC 5322 §3.6.4: the Message-ID that is given, with its brackets."""
    value = email_create_header.value(given, "message-id")
    if value is None:
        return None
    ids = headers.message_ids(value)
    if ids is None:
        for each in given:
            if each.field == "message-id":
                problems.add(each.path, "It has no msg-id.")
        return None
    return f"<{ids[0]}>".encode()


def _completed(given: Sequence[Given], body: NewBody, message_id: bytes) -> list[bytes]:
    """The fields of the message, with those that it must have (RFC 5322 §3.6, RFC 2045 §4)."""
    there = {each.field for each in (*given, *body.root_header) if each.written}
    fields: list[bytes] = []
    if "date" not in there:
        now = compose_forms.date_time(datetime.now(UTC))
        fields.append(f"Date: {now}\r\n".encode())
    if "message-id" not in there:
        fields.append(b"Message-ID: " + message_id + b"\r\n")
    fields += (octets for each in given for octets in each.written)
    if "mime-version" not in there:
        fields.append(mime.MIME_VERSION)
    return fields


def _authors(given: Sequence[Given]) -> list[str]:
    """The addresses of From."""
    value = email_create_header.value(given, "from")
    found = headers.addresses(value) if value is not None else []
    return [address["email"] or "" for address in found]
