"""RFC 9007 §2.1, RFC 3503 §3: an MDN to be sent, about an Email that asks for it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from gateway.ext import mdn_compose
from gateway.ext.mdn_create import NewMdn
from gateway.jmap.errors import SetError
from gateway.mail import enclosures
from gateway.mime import compose as mime
from gateway.mime import disposition_request
from gateway.mime.disposition_request import DispositionRequest
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.content import MESSAGE_HEADER
from gateway.sync.sections import PIECE, Section
from gateway.sync.turns import off_loop

SENT: Final = "$mdnsent"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A notification, to be sent from <> (RFC 8098 §3) to `recipients`.

    size, chunks: its octets; these are read from the Email when they are taken, and chunks() raises
    ImapError. message_id: with brackets. final_address: for which it is sent, to be allowed to
    the identity. told: the properties that the client has not given (RFC 9007 §2.1, `sent`).
    """

    email_id: str
    recipients: tuple[str, ...]
    size: int
    chunks: Callable[[], AsyncGenerator[bytes, None]]
    message_id: bytes
    final_address: str
    told: dict[str, Any]


async def outgoing(account: Account, mdn: NewMdn, author: Mapping[str, Any]) -> Outgoing:
    """The notification that an MDN stands for; author: an EmailAddress object.

    Raises SetError notFound, mdnAlreadySent, forbidden, forbiddenFrom, invalidProperties, tooLarge;
    ImapError.
    """
    request = await _request(account, mdn)
    email_id = mdn.for_email_id or ""
    blob_id = ids.message_blob_id(email_id)
    token = secrets.token_hex(16)
    made = mdn_compose.composed(mdn, request, author, blob_id, datetime.now(UTC), token)
    blob_ids = (blob_id,) if mdn.includes_original else ()
    measures = await enclosures.measured(account, made.root, blob_ids)
    octets = sum(map(len, (mdn.text or "", *mdn.further.values())))
    pieces = await off_loop(octets, mime.write, made.fields, made.root, measures, token)
    return Outgoing(
        email_id=email_id,
        recipients=request.recipients,
        size=mime.size(pieces),
        chunks=partial(enclosures.chunks, account, pieces),
        message_id=made.message_id,
        final_address=made.final_address,
        told=made.told,
    )


async def _request(account: Account, mdn: NewMdn) -> DispositionRequest:
    """What the Email asks for that an MDN is about. Raises SetError, and ImapError."""
    data = await account.fresh()
    row = data.emails.row(mdn.for_email_id) if mdn.for_email_id is not None else -1
    if row < 0:
        raise SetError("notFound", "There is no such Email.")
    keywords = data.index.keywords
    has = keywords.keywords(keywords.unpack(data.emails.bits[row]))
    if SENT in has:
        raise SetError("mdnAlreadySent", f'The Email has the keyword "{SENT}".')
    if "$draft" in has:
        raise SetError("forbidden", "The Email is a draft (RFC 3503 §3.1).")
    found = await account.content.sections.read([Section(row, MESSAGE_HEADER, PIECE)])
    if (header := found.get((row, MESSAGE_HEADER))) is None:
        raise SetError("notFound", "The Email is gone.")
    request = disposition_request.of_header(header)
    if request is None:
        raise SetError("notFound", "The Email asks for no notification.")
    return request
