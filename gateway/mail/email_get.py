"""RFC 8621 §4.2: Email/get.

What the index has comes from the index, what never changes from the account's content cache,
and the rest from at most two round trips a mailbox: one for what is kept once it was read, one for
bodies and headers, of which the structure has to be known first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.jmap.spec import GetRequest, GetResult
from gateway.mail import body_values, email_body
from gateway.mail.backend import backend
from gateway.mail.body_values import Values
from gateway.mail.email_body import BodyRequest
from gateway.mail.email_headers import INDEXED_FIELDS, HeaderRequest, header_request
from gateway.mime import body, headers
from gateway.mime.structure import Part
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.content import MESSAGE_HEADER, Want
from gateway.sync.data import AccountData
from gateway.sync.dates import utc_date
from gateway.sync.emails import YES
from gateway.sync.errors import MailboxChanged
from gateway.sync.sections import PIECE, Found, Place, Section
from gateway.sync.turns import Turns

INDEX = frozenset({"INDEX"})
HEADER = frozenset({"HEADER"})
FIELDS = frozenset({"FIELDS"})
STRUCTURE = frozenset({"BODYSTRUCTURE"})
PREVIEW = frozenset({"PREVIEW"})
VALUES = STRUCTURE | {"BODY"}

ATTACHMENT = frozenset({"ATTACHMENT"})
ALL = INDEX | HEADER | FIELDS | VALUES | PREVIEW | ATTACHMENT
"""All that can be read of an Email."""

_WANTS = {
    "HEADER": Want.HEADER,
    "BODYSTRUCTURE": Want.STRUCTURE,
    "PREVIEW": Want.PREVIEW,
    "ATTACHMENT": Want.ATTACHMENT,
}

# A message is looked for so often where the index has it, which is asked anew in between.
_TRIES = 3


@backend
async def load(account: Account, request: GetRequest) -> GetResult:
    """RFC 8621 §4.2."""
    wanted = _Wanted.of(request)
    data = await account.fresh()
    asked = request.ids or ()
    if not data.complete and data.emails.rows(asked).keys() < {*asked}:
        data = await account.indexed()  # what is not known yet is not gone
    wants, tries = wanted.kept(), _TRIES
    read: set[str] = set()
    # Mail may come and go while this is read; what is told of it is of the moment of the state.
    while True:
        rows = data.emails.rows(asked)
        read |= rows.keys()
        tries -= 1
        try:
            gone = await account.content.read(list(rows.values()), wants)
            if gone and tries > 0:
                await account.recheck()  # whether it is elsewhere now, or nowhere
                continue
            rows = {id_: row for id_, row in rows.items() if row not in gone}
            found, values = await _read(account, wanted, list(rows.values()))
        except MailboxChanged:
            if tries <= 0:
                raise
            await account.recheck()
            continue
        rows = {id_: row for id_, row in rows.items() if data.emails.placements(row)}
        if data.emails.rows(asked).keys() <= read:
            break
    state, records = data.email_state(), _indexed(data, rows, request.properties)
    turns, emails = Turns(), _Emails(account, wanted, found)
    for id_, row in rows.items():
        await turns.give()
        emails.add(id_, row, values.get(row), records[id_])
    return GetResult(state, records)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A request, and what has to be read for it.

    `message_header` is where the header fields are that are read each time, all or some; None
    without any beyond those that are kept.
    """

    request: GetRequest
    bodies: BodyRequest
    headers: HeaderRequest
    needs_structure: bool
    needs_preview: bool
    part_headers: bool
    message_header: Place | None

    @classmethod
    def of(cls, request: GetRequest) -> _Wanted:
        """What a request wants. Raises MethodError invalidArguments."""
        bodies = email_body.body_request(request.arguments)
        asked = header_request(request.properties)
        needs_structure = request.sources >= STRUCTURE
        part_headers = needs_structure and bodies.shape.needs_headers
        further = asked.fields - INDEXED_FIELDS
        place = Place(name="HEADER.FIELDS", fields=tuple(sorted(further))) if further else None
        if asked.is_whole or part_headers or not asked.is_askable:
            place = MESSAGE_HEADER
        needs_preview = request.sources >= PREVIEW
        return cls(request, bodies, asked, needs_structure, needs_preview, part_headers, place)

    def kept(self) -> list[Want]:
        """What is read once and then kept."""
        sources = set(self.request.sources)
        if self.message_header == MESSAGE_HEADER:
            sources -= HEADER
        return [_WANTS[source] for source in sorted(sources & _WANTS.keys())]


async def _read(
    account: Account, wanted: _Wanted, rows: Sequence[int]
) -> tuple[Found, dict[int, Values]]:
    """Headers and body values, in one go."""
    turns = Turns()
    parts: dict[int, list[Part]] = {}
    if "bodyValues" in wanted.request.properties:
        for row in rows:
            await turns.give()
            root = account.content.structure(row)
            parts[row] = email_body.parts_with_values(root, wanted.bodies)
    sections = await body_values.needed(account, parts, wanted.bodies.max_bytes)
    if (place := wanted.message_header) is not None:
        sections += [Section(row, place, PIECE) for row in rows]
    if wanted.part_headers:
        for row in rows:
            await turns.give()
            root = account.content.structure(row)
            shown = email_body.shown_parts(root, wanted.request.properties)
            sections += [account.content.header(row, part) for part in shown]
    if not sections:
        return {}, {row: {} for row in parts}
    found = await account.content.sections.read(dict.fromkeys(sections))
    if any((section.row, section.place) not in found for section in sections):
        await account.recheck()
    return found, await body_values.decoded(account, parts, wanted.bodies.max_bytes, found)


def indexed(
    data: AccountData, ids: Sequence[str], properties: frozenset[str]
) -> dict[str, dict[str, Any]] | None:
    """Properties of the Emails that there are, by id; None if the index does not have them all."""
    if not properties <= _INDEXED.keys() - {"hasAttachment"}:
        return None
    return _indexed(data, data.emails.rows(ids), sorted(properties))


def _indexed(
    data: AccountData, rows: dict[str, int], properties: Sequence[str]
) -> dict[str, dict[str, Any]]:
    writers = [_INDEXED[name] for name in properties if name in _INDEXED]
    records: dict[str, dict[str, Any]] = {}
    for id_, row in rows.items():
        record = records[id_] = {"id": id_}
        for writer in writers:
            writer(data, row, id_, record)
    return records


@dataclass(frozen=True, slots=True)
class _Emails:
    """Writes what never changes about Emails, all of which has been read."""

    account: Account
    wanted: _Wanted
    found: Found

    def add(self, id_: str, row: int, values: Values | None, record: dict[str, Any]) -> None:
        """Add the properties of one Email to its record."""
        content = self.account.content
        self._add_headers(row, record)
        if self.wanted.needs_structure:
            root = content.structure(row)
            source = _Parts(self, id_, row)
            names, shape = self.wanted.request.properties, self.wanted.bodies.shape
            record |= email_body.describe(root, source, names, shape)
        if values is not None:
            record["bodyValues"] = values
        if self.wanted.needs_preview:
            record["preview"] = content.preview(row)

    def _add_headers(self, row: int, record: dict[str, Any]) -> None:
        asked = self.wanted.headers
        if asked.is_empty:
            return
        place = self.wanted.message_header
        block = self.found.get((row, place), b"") if place is not None else b""
        if place == MESSAGE_HEADER:
            kept = headers.convenience(block) if asked.convenience else {}
        else:
            kept = self.account.content.convenience(row, headers.convenience)
            if not asked.fields.isdisjoint(INDEXED_FIELDS):
                block = self.account.content.kept_header(row).rstrip(b"\r\n") + b"\r\n" + block
        record |= asked.values(kept, block)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What EmailBodyParts of one Email show besides its structure."""

    emails: _Emails
    id: str
    row: int

    def blob_id(self, part: Part) -> str:
        return ids.part_blob_id(ids.message_blob_id(self.id), part.part_id or "1")

    def size(self, part: Part) -> int:
        return body.decoded_size(part)

    def header(self, part: Part) -> bytes:
        place = self.emails.account.content.header(self.row, part).place
        return self.emails.found.get((self.row, place), b"")


# --- RFC 8621 §4.1.1: metadata ------------------------------------------------------------------

Writer = Callable[[AccountData, int, str, dict[str, Any]], None]


def _blob_id(_data: AccountData, _row: int, id_: str, record: dict[str, Any]) -> None:
    record["blobId"] = ids.message_blob_id(id_)


def _thread_id(data: AccountData, row: int, _id: str, record: dict[str, Any]) -> None:
    emails = data.emails
    record["threadId"] = ids.thread_id(int(emails.thread_keys[emails.thread[row]]))


def _mailbox_ids(data: AccountData, row: int, _id: str, record: dict[str, Any]) -> None:
    mailboxes = data.by_number()
    placements = data.emails.placements(row)
    record["mailboxIds"] = {mailboxes[number].id: True for number, _ in placements}


def _keywords(data: AccountData, row: int, _id: str, record: dict[str, Any]) -> None:
    keywords = data.index.keywords
    record["keywords"] = keywords.keywords(keywords.unpack(data.emails.bits[row]))


def _size(data: AccountData, row: int, _id: str, record: dict[str, Any]) -> None:
    record["size"] = int(data.emails.octets[row])


def _received_at(data: AccountData, row: int, _id: str, record: dict[str, Any]) -> None:
    record["receivedAt"] = utc_date(int(data.emails.received[row]))


def _has_attachment(data: AccountData, row: int, _id: str, record: dict[str, Any]) -> None:
    record["hasAttachment"] = bool(data.emails.attachment[row] == YES)


_INDEXED: dict[str, Writer] = {
    "blobId": _blob_id,
    "threadId": _thread_id,
    "mailboxIds": _mailbox_ids,
    "keywords": _keywords,
    "size": _size,
    "receivedAt": _received_at,
    "hasAttachment": _has_attachment,
}
