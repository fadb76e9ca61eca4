"""RFC 8621 §4.6: the message that an Email to be created describes.

Nothing large is in memory: of uploads and of other messages, what is needed to know how long the
message will be is found out first, and their octets are read as they are sent.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

from gateway.imap.errors import ImapError
from gateway.jmap.errors import SetError
from gateway.jmap.limits import Limits
from gateway.mail import email_create_body, email_create_header, new_email
from gateway.mail.blob import Blob, BlobTooLarge, open_blob
from gateway.mail.capability import MAX_ATTACHMENTS_OCTETS
from gateway.mail.email_create_body import NewBody
from gateway.mail.email_create_header import Given
from gateway.mail.email_create_problems import Problems
from gateway.mime import compose as mime
from gateway.mime import compose_forms, headers
from gateway.mime.compose import Enclosed, NewPart, Piece
from gateway.mime.compose_enclosed import Encoder, Measure
from gateway.mime.compose_field import Unwritable
from gateway.sync.account import Account
from gateway.sync.appending import Letter
from gateway.sync.data import AccountData
from gateway.sync.turns import Turns, off_loop

_DOMAIN = re.compile(rb"[A-Za-z0-9-]{1,63}(?>(?:\.[A-Za-z0-9-]{1,63})+)")
_NO_DOMAIN: Final = "localhost"


class EnclosureChanged(ImapError):
    """What is to be enclosed in a message is not any more what it was; the message is not sent."""


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
    measures = await _measured(account, body)
    token = secrets.token_hex(16)
    message_id = message_id or f"<{token}@{_domain(given)}>".encode()
    fields = _completed(given, body, message_id)
    try:
        pieces = await off_loop(characters, mime.write, fields, body.root, measures, token)
    except Unwritable as error:  # each field was written before, on its own
        raise SetError("invalidProperties", str(error)) from error

    def chunks() -> AsyncIterator[bytes]:
        return _chunks(account, pieces)

    return Letter(mailbox_ids, keywords, received, mime.size(pieces), chunks, message_id)


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


def _domain(given: Sequence[Given]) -> str:
    """The domain of the author, for a Message-ID."""
    value = email_create_header.value(given, "from")
    for address in headers.addresses(value) if value is not None else ():
        domain = (address["email"] or "").rpartition("@")[2]
        if _DOMAIN.fullmatch(domain.encode()):
            return domain
    return _NO_DOMAIN


# --- what is enclosed -----------------------------------------------------------------------------


async def _measured(account: Account, body: NewBody) -> dict[str, Measure]:
    """What is known of each blob. Raises SetError blobNotFound, tooLarge."""
    blobs: dict[str, Blob] = {}
    not_found: list[str] = []
    for blob_id in dict.fromkeys(body.blob_ids):
        try:
            blob = await open_blob(account, blob_id)
        except BlobTooLarge:
            raise SetError("tooLarge", "The message that has a blob is too large.") from None
        if blob is None:
            not_found.append(blob_id)
        else:
            blobs[blob_id] = blob
    if not_found:
        raise SetError("blobNotFound", "There are no such blobs.", notFound=not_found)
    as_messages = set(_message_blobs(body.root))
    measures = {
        blob_id: await _measure(blob, whole=blob_id in as_messages)
        for blob_id, blob in blobs.items()
    }
    if sum(measures[blob_id].size for blob_id in body.blob_ids) > MAX_ATTACHMENTS_OCTETS:
        text = f"An Email has at most {MAX_ATTACHMENTS_OCTETS} octets of attachments."
        raise SetError("tooLarge", text)
    return measures


def _message_blobs(part: NewPart) -> Iterable[str]:
    if isinstance(part.content, mime.Blob) and part.type.startswith("message/"):
        yield part.content.id
    if isinstance(part.content, tuple):
        for child in part.content:
            yield from _message_blobs(child)


async def _measure(blob: Blob, *, whole: bool) -> Measure:
    """How long a blob is; with `whole`, also what it consists of."""
    measure = Measure()
    size = await blob.measure()
    if not whole or size > MAX_ATTACHMENTS_OCTETS:
        measure.size = size
        return measure
    turns = Turns()
    async with aclosing(blob.chunks()) as chunks:
        async for chunk in chunks:
            measure.feed(chunk)
            await turns.give()
    return measure


async def _chunks(account: Account, pieces: Sequence[Piece]) -> AsyncGenerator[bytes, None]:
    """The octets of a message. Raises EnclosureChanged, ImapError."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        async with aclosing(_encoded(account, piece)) as encoded:
            async for octets in encoded:
                yield octets


async def _encoded(account: Account, enclosed: Enclosed) -> AsyncGenerator[bytes, None]:
    """A blob as it is enclosed: never more octets than was said, nor an end that is too early."""
    blob = await open_blob(account, enclosed.id)
    if blob is None:
        raise EnclosureChanged("a blob is gone")
    encoder = Encoder(enclosed.encoding)
    left = enclosed.size
    async with aclosing(blob.chunks()) as chunks:
        async for chunk in chunks:
            if octets := encoder.feed(chunk):
                left -= len(octets)
                if left < 0:
                    break
                yield octets
    octets = encoder.finish()
    if left != len(octets):
        raise EnclosureChanged("a blob has another size")
    yield octets
