"""RFC 8621 §4.2: Email/get.

What the index has comes from the index, what never changes from the account's content cache,
and the rest from at most one FETCH a mailbox (two where body values are wanted of a message
whose structure was not known).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gateway.jmap.errors import invalid_arguments, quoted
from gateway.jmap.spec import GetRequest, GetResult
from gateway.mail.backend import backend
from gateway.mime import body
from gateway.mime.headers import convenience
from gateway.mime.structure import Part
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.content import Section, Want
from gateway.sync.data import AccountData
from gateway.sync.dates import utc_date
from gateway.sync.emails import YES

INDEX = frozenset({"INDEX"})
HEADER = frozenset({"HEADER"})
STRUCTURE = frozenset({"BODYSTRUCTURE"})
PREVIEW = frozenset({"PREVIEW"})
VALUES = STRUCTURE | {"BODY"}

ATTACHMENT = frozenset({"ATTACHMENT"})

# Longer texts are shown from their start, as truncated; the blob has all of it.
MAX_VALUE_OCTETS = 5 << 20

_WANTS = {
    "HEADER": Want.HEADER,
    "BODYSTRUCTURE": Want.STRUCTURE,
    "PREVIEW": Want.PREVIEW,
    "ATTACHMENT": Want.ATTACHMENT,
}


@backend
async def load(account: Account, request: GetRequest) -> GetResult:
    """RFC 8621 §4.2."""
    body_properties = _body_properties(request.arguments["bodyProperties"])
    data = await account.fresh()
    state = data.email_state()
    rows = data.emails.rows(request.ids or ())
    wants = [_WANTS[source] for source in sorted(request.sources & _WANTS.keys())]
    if wants:
        gone = await account.content.read(list(rows.values()), wants)
        rows = {id_: row for id_, row in rows.items() if row not in gone}
    values = await _body_values(account, rows, request)
    # Nothing waits from here on; until here, Emails may have gone.
    rows = {id_: row for id_, row in rows.items() if data.emails.placements(row)}
    writers = [_INDEXED[name] for name in request.properties if name in _INDEXED]
    records: dict[str, dict[str, Any]] = {}
    for id_, row in rows.items():
        record = {"id": id_}
        for writer in writers:
            writer(data, row, id_, record)
        records[id_] = record
    _add_headers(account, rows, request, records)
    if request.sources >= STRUCTURE:
        for id_, row in rows.items():
            _describe(account.content.structure(row), id_, request, body_properties, records[id_])
    if "bodyValues" in request.properties:
        for id_ in rows:
            records[id_]["bodyValues"] = values[id_]
    if request.sources >= PREVIEW:
        for id_, row in rows.items():
            records[id_]["preview"] = account.content.preview(row)
    return GetResult(state, records)


def _body_properties(wanted: list[str] | None) -> tuple[str, ...]:
    if wanted is None:
        return body.DEFAULT_PROPERTIES
    if unknown := [name for name in wanted if name not in body.PROPERTIES]:
        raise invalid_arguments(f"EmailBodyPart has no properties {quoted(unknown)}.")
    return tuple(dict.fromkeys(wanted))


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


# --- RFC 8621 §4.1.2-4.1.3: header fields -------------------------------------------------------


def _add_headers(
    account: Account,
    rows: dict[str, int],
    request: GetRequest,
    records: dict[str, dict[str, Any]],
) -> None:
    if not request.sources >= HEADER:
        return
    for id_, row in rows.items():
        values = account.content.convenience(row, convenience)
        record = records[id_]
        for name in request.properties:
            if name in values:
                record[name] = values[name]


# --- RFC 8621 §4.1.4: body parts ----------------------------------------------------------------


async def _body_values(
    account: Account, rows: dict[str, int], request: GetRequest
) -> dict[str, dict[str | None, Any]]:
    """What `bodyValues` is of each Email, if it is asked for."""
    if "bodyValues" not in request.properties:
        return {}
    wanted = {
        id_: _parts_to_read(account.content.structure(row), request.arguments)
        for id_, row in rows.items()
    }
    limit = min(request.arguments["maxBodyValueBytes"] or MAX_VALUE_OCTETS, MAX_VALUE_OCTETS)
    sections = [
        Section(rows[id_], part.part_id or "1", body.octets_needed(part, limit) or part.size)
        for id_, parts in wanted.items()
        for part in parts
    ]
    octets = await account.content.sections(sections)
    if len(octets) < len(sections):
        await account.recheck()
    return {
        id_: {
            part.part_id: _value(part, octets.get((rows[id_], part.part_id or "1")), limit)
            for part in parts
        }
        for id_, parts in wanted.items()
    }


def _value(part: Part, octets: bytes | None, limit: int) -> dict[str, Any]:
    if octets is None:  # the message is there, but the server does not give this part of it
        return {"value": "", "isEncodingProblem": True, "isTruncated": True}
    return body.body_value(octets, part, limit)


def _describe(
    root: Part,
    id_: str,
    request: GetRequest,
    properties: tuple[str, ...],
    record: dict[str, Any],
) -> None:
    def shown(parts: Iterable[Part]) -> list[dict[str, Any]]:
        return [body.body_part(part, blob_id, properties) for part in parts]

    def blob_id(part: Part) -> str:
        return ids.part_blob_id(id_, part.part_id or "1")

    lists = body.body_lists(root)
    if "bodyStructure" in request.properties:
        record["bodyStructure"] = body.body_part(root, blob_id, (*properties, "subParts"))
    for name, parts in (
        ("textBody", lists.text),
        ("htmlBody", lists.html),
        ("attachments", lists.attachments),
    ):
        if name in request.properties:
            record[name] = shown(parts)


def _parts_to_read(root: Part, arguments: dict[str, Any]) -> list[Part]:
    """The text parts whose values are asked for, each once, in the order of the message."""
    lists = body.body_lists(root)
    wanted: list[Part] = []
    if arguments["fetchAllBodyValues"]:
        wanted = body.leaves(root)
    else:
        if arguments["fetchTextBodyValues"]:
            wanted += lists.text
        if arguments["fetchHTMLBodyValues"]:
            wanted += lists.html
    return list({part.part_id: part for part in wanted if part.type.startswith("text/")}.values())
