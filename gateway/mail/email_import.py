"""RFC 8621 §4.8: Email/import, messages that are there as blobs made Emails.

A message goes from its blob to the mail server in chunks. It is read twice: once to find out what
it is, and how large it will be, and once as it is added.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gateway.jmap.arguments import Argument
from gateway.jmap.call import Call
from gateway.jmap.errors import MethodError, SetError, quoted, request_too_large
from gateway.jmap.kinds import ID, OBJECT, STRING, map_of, nullable
from gateway.mail import new_email
from gateway.mail.backend import backend
from gateway.mail.blob import Blob, BlobTooLarge, open_blob
from gateway.mail.new_email import invalid
from gateway.mail.set_errors import set_error
from gateway.mime import brackets, dates, headers
from gateway.mime.mending import Inspection, Mender
from gateway.mime.threading import field_values
from gateway.sync import foretelling
from gateway.sync.account import Account
from gateway.sync.appending import Letter
from gateway.sync.data import AccountData
from gateway.sync.errors import MessageGone
from gateway.sync.failures import Failure, FailureKind
from gateway.sync.turns import Turns
from gateway.sync.writing import Writing, writing

ARGUMENTS: Final = (
    Argument("ifInState", nullable(STRING)),
    Argument("emails", map_of(ID, OBJECT)),
)
_PROPERTIES = frozenset({"blobId", "mailboxIds", "keywords", "receivedAt"})

Outcome = dict[str, Any] | SetError


@backend
async def run(account: Account, arguments: dict[str, Any], call: Call) -> dict[str, Any]:
    """The response arguments of an Email/import."""
    emails: dict[str, dict[str, Any]] = arguments["emails"]
    if len(emails) > call.limits.max_objects_in_set:
        most = call.limits.max_objects_in_set
        raise request_too_large(f"At most {most} Emails can be imported at once.")
    outcomes: dict[str, Outcome] = {}
    messages: dict[str, Message] = {}
    for creation_id, email in emails.items():
        try:
            messages[creation_id] = await _inspected(account, email, call)
        except SetError as error:
            outcomes[creation_id] = error
    async with writing(account) as held:
        old_state = held.data.email_state()
        if arguments["ifInState"] not in (None, old_state):
            raise MethodError("stateMismatch")
        letters: dict[str, NewLetter] = {}
        for creation_id, message in messages.items():
            email = emails[creation_id]
            try:
                letters[creation_id] = _letter(held.data, email, message, call)
            except SetError as error:
                outcomes[creation_id] = error
        outcomes |= await add(held, letters)
        new_state = held.data.email_state()
    created = {id_: o for id_ in emails if not isinstance(o := outcomes[id_], SetError)}
    for creation_id, email in created.items():
        call.note_created(creation_id, email["id"])
    failed = {id_: o.members() for id_ in emails if isinstance(o := outcomes[id_], SetError)}
    return {
        "oldState": old_state,
        "newState": new_state,
        "created": created or None,
        "notCreated": failed or None,
    }


# --- what a blob is ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """A blob that is a message, or can be made one.

    size: octets when mended. received: the receivedAt it is to have. digest: see
    foretelling.digest().
    """

    blob: Blob
    size: int
    received: datetime
    message_id: bytes | None
    digest: bytes | None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The octets, mended."""
        mender = Mender()
        async with aclosing(self.blob.chunks()) as chunks:
            async for chunk in chunks:
                if mended := mender.feed(chunk):
                    yield mended


async def _inspected(account: Account, email: Mapping[str, Any], call: Call) -> Message:
    """The message that an EmailImport names. Raises SetError, ImapError."""
    if unknown := email.keys() - _PROPERTIES:
        text = f"An EmailImport has no properties {quoted(unknown)}."
        raise SetError("invalidProperties", text, properties=sorted(unknown))
    moment = new_email.received_at(email["receivedAt"]) if "receivedAt" in email else None
    reference = email.get("blobId")
    blob_id = call.resolve(reference) if isinstance(reference, str) else None
    try:
        blob = await open_blob(account, blob_id) if blob_id is not None else None
        if blob is None:
            raise invalid("blobId", "There is no such blob.")
        return await inspect(account.data, blob, moment)
    except MessageGone:
        raise invalid("blobId", "The Email that the blob is of is gone.") from None
    except BlobTooLarge:
        raise SetError("tooLarge", "The message that has the blob is too large.") from None


async def inspect(data: AccountData, blob: Blob, received: datetime | None) -> Message:
    """RFC 8621 §4.8: the message that a blob is, read once from its beginning to its end.

    received: when the client says it was. Raises SetError invalidEmail; MessageGone, ImapError.
    """
    inspection, sha1, turns = Inspection(), hashlib.sha1(usedforsecurity=False), Turns()
    async with aclosing(blob.chunks()) as chunks:
        async for chunk in chunks:
            sha1.update(inspection.feed(chunk))
            await turns.give()
    if (defect := inspection.defect()) is not None:
        raise SetError("invalidEmail", defect)
    header = inspection.header
    received = received or default_received(header) or datetime.now(UTC).replace(microsecond=0)
    content = foretelling.Content(
        header,
        inspection.text,
        inspection.size,
        int(received.timestamp()),
        sha1.hexdigest().encode(),
    )
    digest = foretelling.digest(data.tier, content)
    return Message(blob, inspection.size, received, message_id(header), digest)


def default_received(header: bytes) -> datetime | None:
    """RFC 5321 §4.4: the time of the newest Received field, which is the first one."""
    for name, value in headers.fields(header):
        if name.lower() == "received":
            moment = dates.parse(value.rpartition(b";")[2])
            if moment is not None and moment.timestamp() >= 0:
                return moment
    return None


def message_id(header: bytes) -> bytes | None:
    """The Message-ID of a message as its header has it, None without one."""
    (value,) = field_values(header, (b"message-id",))
    found = brackets.items(value)
    return b"<%b>" % found[0] if found else None


# --- what becomes of it --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A letter to be added; digest: see foretelling.digest()."""

    letter: Letter
    digest: bytes | None


def _letter(data: AccountData, email: Mapping[str, Any], message: Message, call: Call) -> NewLetter:
    """Raises SetError."""
    letter = Letter(
        mailbox_ids=new_email.mailbox_ids(data, email.get("mailboxIds"), call.resolve),
        keywords=new_email.keywords(email.get("keywords", {})),
        received=message.received,
        size=message.size,
        chunks=message.chunks,
        message_id=message.message_id,
    )
    return NewLetter(letter, message.digest)


async def add(held: Writing, letters: Mapping[str, NewLetter]) -> dict[str, Outcome]:
    """Add letters, by creation id; what the client is to be told of each.

    Where a message with the same content can not be an Email of its own, the second one of two in
    one call has to wait for the first.
    """
    outcomes: dict[str, Outcome] = {}
    while letters:
        now: dict[str, NewLetter] = {}
        later: dict[str, NewLetter] = {}
        digests: set[bytes] = set()
        for creation_id, new in letters.items():
            row = foretelling.existing(held.data, new.digest) if new.digest else None
            if row is not None:
                outcomes[creation_id] = already_exists(held.data, row)
            elif new.digest in digests:
                later[creation_id] = new
            else:
                now[creation_id] = new
                digests |= {new.digest} if new.digest else set()
        outcomes |= await _append(held, now)
        letters = later
    return outcomes


async def _append(held: Writing, letters: Mapping[str, NewLetter]) -> dict[str, Outcome]:
    known = set(held.data.emails.visible().nonzero()[0].tolist())
    results = await held.append([new.letter for new in letters.values()])
    outcomes: dict[str, Outcome] = {}
    for (creation_id, new), result in zip(letters.items(), results, strict=True):
        if isinstance(result, Failure):
            outcomes[creation_id] = _refused(result)
        elif result in known:  # Gmail: it has every message once
            outcomes[creation_id] = already_exists(held.data, result)
        else:
            known.add(result)
            outcomes[creation_id] = new_email.created(held.data, result, new.letter.received)
    return outcomes


def _refused(failure: Failure) -> SetError:
    if failure.kind is FailureKind.NOT_FOUND:
        return invalid("blobId", "The Email that the blob is of is gone.")
    return set_error(failure)


def already_exists(data: AccountData, row: int) -> SetError:
    """RFC 8620 §5.4: there is that Email already."""
    return SetError(
        "alreadyExists",
        "The mail server does not let two Emails be the same message.",
        existingId=data.emails.id(row),
    )
