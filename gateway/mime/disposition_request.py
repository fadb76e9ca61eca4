"""RFC 8098 §2: what a message says of the notification that it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.mime import headers, reports, words
from gateway.mime.compose_address import is_addr_spec

# A notification of one message goes to no more, so that nobody can have many told by one.
_MAX_ADDRESSES: Final = 10
# RFC 5322 §3.6.4 lets References grow without end: the first, which began the thread, stays.
_MAX_REFERENCES: Final = 50
_MAX_ID: Final = 250
# Octets of an address with its type, and characters of a subject, that are passed on.
_MAX_RECIPIENT: Final = 500
_MAX_SUBJECT: Final = 200


@dataclass(frozen=True, slots=True)
class DispositionRequest:
    """What a notification has to say of the message it is about, and where it goes.

    recipients: addresses. message_id: without brackets. references: what a reply to the
    message refers to. original_recipient: with the type of the address. may_be_automatic: whether
    a notification may be sent without asking the user (RFC 8098 §2.1).
    """

    recipients: tuple[str, ...]
    message_id: str | None
    references: tuple[str, ...]
    subject: str
    original_recipient: str | None
    may_be_automatic: bool


def of_header(header: bytes) -> DispositionRequest | None:
    """What the header of a message asks for, None if that is no notification."""
    fields = [(name.lower(), value) for name, value in headers.fields(header)]
    last, first = dict(fields), dict(reversed(fields))
    recipients = _recipients(last.get("disposition-notification-to", b""))
    if recipients is None or _is_notification(last.get("content-type", b"")):
        return None
    own = _ids(last.get("message-id", b""))[:1]
    before = _ids(last.get("references", b"")) or _ids(last.get("in-reply-to", b""))[:1]
    if len(before) > _MAX_REFERENCES:
        before = [before[0], *before[1 - _MAX_REFERENCES :]]
    return DispositionRequest(
        recipients=recipients,
        message_id=own[0] if own else None,
        references=(*(id_ for id_ in before if id_ not in own), *own) if own else (),
        subject=words.without_controls(headers.text(last.get("subject", b"")))[:_MAX_SUBJECT],
        # Servers that deliver put these at the beginning.
        original_recipient=_original_recipient(first.get("original-recipient", b"")),
        may_be_automatic=_are_one(recipients, first.get("return-path", b"")),
    )


def _recipients(value: bytes) -> tuple[str, ...] | None:
    addresses = dict.fromkeys(address["email"] or "" for address in headers.addresses(value))
    found = tuple(filter(is_addr_spec, addresses))
    return found if 0 < len(found) <= _MAX_ADDRESSES else None


def _is_notification(content_type: bytes) -> bool:
    """RFC 8098 §2.1: a notification is not answered by another one."""
    value = content_type.lower()
    return b"multipart/report" in value and b"disposition-notification" in value


def _ids(value: bytes) -> list[str]:
    ids = headers.message_ids(value) or []
    return [id_ for id_ in ids if len(id_) <= _MAX_ID and id_.isascii() and id_.isprintable()]


def _original_recipient(value: bytes) -> str | None:
    told = words.without_controls(headers.text(value))
    type_, semicolon, address = told.partition(";")
    if not semicolon or not address.strip() or not type_.isascii() or len(told) > _MAX_RECIPIENT:
        return None
    if address.isascii():
        return f"{type_.strip()}; {address.strip()}"
    return reports.typed_address(reports.address_in(told))


def _are_one(recipients: tuple[str, ...], return_path: bytes) -> bool:
    """Whether the only one that asks to be told is the sender of the message."""
    senders = [address["email"] or "" for address in headers.addresses(return_path)]
    return bool(senders) and len(set(map(_compared, (*recipients, *senders)))) == 1


def _compared(address: str) -> tuple[str, str]:
    """RFC 8098 §2.1: the local part without quotes, the domain in lower case."""
    local, _, domain = address.rpartition("@")
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = local[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return local, domain.lower()
