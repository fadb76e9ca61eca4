"""RFC 8098 §3, RFC 9007 §2.1: message disposition notifications, as they are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.ext.mdn_create import NewMdn
from gateway.jmap.errors import SetError
from gateway.mail.email_create_problems import Problems
from gateway.mime import compose, compose_field, compose_forms, headers
from gateway.mime.compose import Blob, Fields, NewPart
from gateway.mime.compose_address import is_addr_spec
from gateway.mime.compose_field import Unwritable, checked
from gateway.mime.disposition_request import DispositionRequest
from gateway.mime.reports import address_in, typed_address

_WHAT_WAS_DONE: Final = {
    "displayed": "It has been displayed. That is no guarantee that it has been read or understood.",
    "deleted": "It has been deleted. It may or may not have been seen before.",
    "dispatched": "It has been passed on, for instance forwarded or printed.",
    "processed": "It has been processed without being displayed.",
}
_AUTOMATICALLY: Final = "mdn-sent-automatically"
# RFC 3834 §5.1
_AUTO_SUBMITTED: Final = b"Auto-Submitted: auto-replied\r\n"
_ADDRESS_TYPES: Final = frozenset({"rfc822", "utf-8"})


@dataclass(frozen=True, slots=True)
class Composed:
    """A message to be sent; `compose.write` makes octets of its fields and its root.

    message_id: with brackets. final_address: for which it is sent, to be allowed to the identity.
    told: the properties of the MDN that the client has not given (RFC 9007 §2.1, `sent`).
    """

    fields: tuple[bytes, ...]
    root: NewPart
    message_id: bytes
    final_address: str
    told: dict[str, Any]


def composed(
    mdn: NewMdn,
    request: DispositionRequest,
    author: Mapping[str, Any],
    blob_id: str,
    date: datetime,
    token: str,
) -> Composed:
    """The notification that an MDN stands for.

    author: an EmailAddress object, who sends it. blob_id: of the message it is about. token: that
    no other message has. Raises SetError invalidProperties with all that can not be written,
    forbidden for what RFC 8098 forbids, and forbiddenFrom if mail can not come from the author.
    """
    if mdn.sending_mode == _AUTOMATICALLY and not request.may_be_automatic:
        text = "Somebody else than the sender asks for it, so that the user has to agree."
        raise SetError("forbidden", text)
    problems = Problems()
    final = _final_recipient(mdn, author, problems)
    subject = mdn.subject if mdn.subject is not None else _subject(request)
    text = mdn.text if mdn.text is not None else _text(mdn, request, final)
    message_id = compose_forms.message_id(token, [author["email"]])
    fields = (
        f"Date: {compose_forms.date_time(date)}\r\n".encode(),
        b"Message-ID: " + message_id + b"\r\n",
        _from(author),
        compose_forms.write("To", headers.addresses, [{"email": to} for to in request.recipients]),
        *_subject_field(subject, problems),
        *_references(request),
        *((_AUTO_SUBMITTED,) if mdn.sending_mode == _AUTOMATICALLY else ()),
        compose.MIME_VERSION,
    )
    machine = b"".join(_machine(mdn, request, final, problems))
    problems.check()
    return Composed(
        fields,
        _root(mdn, text, machine, blob_id),
        message_id,
        address_in(final),
        _told(mdn, request, subject, text, final),
    )


def _from(author: Mapping[str, Any]) -> bytes:
    if not is_addr_spec(author["email"]):
        raise SetError("forbiddenFrom", "The identity has no address that mail can come from.")
    try:
        return compose_forms.write("From", headers.addresses, [dict(author)])
    except Unwritable as error:
        raise SetError("forbiddenFrom", f"The name of the identity: {error}") from error


def _final_recipient(mdn: NewMdn, author: Mapping[str, Any], problems: Problems) -> str:
    """RFC 8098 §3.2.4: with the type of the address, which clients may leave out."""
    given = mdn.final_recipient
    if given is None:
        return typed_address(author["email"])
    type_, semicolon, _ = given.partition(";")
    address = address_in(given)
    if not is_addr_spec(address) or (semicolon and type_.strip().lower() not in _ADDRESS_TYPES):
        problems.add("finalRecipient", "It must be an address, as in rfc822; john@example.com.")
    return given if semicolon and given.isascii() else typed_address(address)


# --- for people -----------------------------------------------------------------------------------


def _subject(request: DispositionRequest) -> str:
    return f"Disposition notification: {request.subject}".rstrip(": ")


def _text(mdn: NewMdn, request: DispositionRequest, final: str) -> str:
    named = f' "{request.subject}"' if request.subject else ""
    return (
        f"This is about your message{named} to {address_in(final)}.\n{_WHAT_WAS_DONE[mdn.type]}\n"
    )


def _subject_field(subject: str, problems: Problems) -> Iterator[bytes]:
    try:
        yield compose_forms.write("Subject", headers.text, subject)
    except Unwritable as error:
        problems.add("subject", str(error))


def _references(request: DispositionRequest) -> Iterator[bytes]:
    """RFC 5322 §3.6.4: it is shown along with what it is about."""
    if request.message_id is not None:
        yield compose_forms.write("In-Reply-To", headers.message_ids, [request.message_id])
        yield compose_forms.write("References", headers.message_ids, list(request.references))


# --- for machines ---------------------------------------------------------------------------------


def _machine(
    mdn: NewMdn, request: DispositionRequest, final: str, problems: Problems
) -> Iterator[bytes]:
    """RFC 8098 §3.1: the fields of message/disposition-notification."""
    mode = f"{mdn.action_mode}/{mdn.sending_mode.replace('mdn', 'MDN')}"
    fields = [
        ("reportingUA", "Reporting-UA", mdn.reporting_ua or None),
        ("originalRecipient", "Original-Recipient", request.original_recipient),
        ("finalRecipient", "Final-Recipient", final),
        ("originalMessageId", "Original-Message-ID", _bracketed(request)),
        ("disposition", "Disposition", f"{mode}; {mdn.type}"),
        *(("extensionFields", name, value) for name, value in mdn.further.items()),
    ]
    for path, name, value in fields:
        if value is None:
            continue
        try:
            words = compose_field.words(f" {checked(value).strip()}")
            yield compose_field.field(name, words)
        except Unwritable as error:
            problems.add(path, str(error))


def _bracketed(request: DispositionRequest) -> str | None:
    return f"<{request.message_id}>" if request.message_id is not None else None


# --- the whole ------------------------------------------------------------------------------------


def _root(mdn: NewMdn, text: str, machine: bytes, blob_id: str) -> NewPart:
    parts = [
        NewPart("text/plain", text),
        NewPart("message/disposition-notification", Fields(machine)),
    ]
    if mdn.includes_original:
        parts.append(NewPart("message/rfc822", Blob(blob_id)))
    parameters = {"report-type": "disposition-notification"}
    return NewPart("multipart/report", tuple(parts), parameters)


def _told(
    mdn: NewMdn, request: DispositionRequest, subject: str, text: str, final: str
) -> dict[str, Any]:
    properties = {
        "subject": subject,
        "textBody": text,
        "includeOriginalMessage": mdn.includes_original,
        "reportingUA": None,
        "mdnGateway": None,
        "originalRecipient": request.original_recipient,
        "finalRecipient": final,
        "originalMessageId": _bracketed(request),
        "error": None,
        "extensionFields": None,
    }
    return {name: value for name, value in properties.items() if name not in mdn.given}
