"""RFC 9051 §6.4.5: the FETCH commands that fill the index."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from gateway.imap.commands.fetch_columns import HEADER_OCTETS, header_fields
from gateway.imap.connection import Connection
from gateway.imap.wire import items
from gateway.imap.wire.fetchshape import Columns
from gateway.imap.wire.items import Item
from gateway.sync import bulk, identity, ingest
from gateway.sync.arrays import Uids
from gateway.sync.data import AccountData
from gateway.sync.emails import NO, YES
from gateway.sync.identity import Tier
from gateway.sync.placements import MailboxColumns, Placed
from gateway.sync.structures import has_attachment

HEADER_FIELDS = (
    "Date",
    "Subject",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Message-ID",
    "In-Reply-To",
    "References",
)
HEADER = header_fields(HEADER_FIELDS)
_TEXT = items.section("TEXT", window=(0, HEADER_OCTETS))
_IDENTITY = {
    Tier.EMAILID: (items.EMAILID, items.THREADID),
    Tier.X_GUID: (items.X_GUID,),
    Tier.X_GM_MSGID: (items.X_GM_MSGID, items.X_GM_THRID),
    Tier.DIGEST_SHA1: (items.DIGEST_SHA1,),
    Tier.FINGERPRINT: (),
}


def _index_items(data: AccountData, connection: Connection) -> list[Item]:
    has_modseqs = "CONDSTORE" in connection.enabled and connection.has_modseqs
    modseq = (items.MODSEQ,) if has_modseqs else ()
    named = _IDENTITY[data.tier]
    return [items.UID, items.FLAGS, *modseq, items.INTERNALDATE, items.SIZE, *named]


Take = Callable[[Placed], None]
"""Takes in messages that were read, a slice at a time."""


async def add_uids(
    data: AccountData,
    connection: Connection,
    columns: MailboxColumns,
    uids: Uids,
    take: Take,
    *,
    guessed: bool = False,
) -> None:
    """Read messages of the selected mailbox, those that the server can give, and hand them on.

    columns: those of the mailbox, in which `take` puts what it gets. guessed: there need not be
    messages with these UIDs. Raises ImapError, and what `take` raises.
    """
    nameless: dict[int, bytes] = {}

    def take_slice(found: Columns) -> None:
        if data.tier is Tier.FINGERPRINT:
            nameless.update(_take_out_nameless(found))
        take(ingest.read(data, found))

    def absent(asked: Uids) -> Uids:
        return asked[:0] if guessed else _unread(columns, asked, nameless)

    asked = (*_index_items(data, connection), HEADER)
    await bulk.read(connection, columns.trouble, uids, asked, take_slice, absent)
    if nameless:
        await _add_nameless(data, connection, columns, nameless, take)


def _unread(placed: MailboxColumns, asked: Uids, nameless: Iterable[int]) -> Uids:
    known = np.fromiter(nameless, np.uint32)
    return asked[(placed.positions(asked) < 0) & ~np.isin(asked, known)]


def _take_out_nameless(columns: Columns) -> dict[int, bytes]:
    """Headers without a Message-ID, by UID; in the columns they become gaps."""
    nameless: dict[int, bytes] = {}
    for at, header in enumerate(columns.header):
        if header is not None and not identity.is_named(header):
            nameless[int(columns.uid[at])] = header
            columns.header[at] = None
    return nameless


async def _add_nameless(
    data: AccountData,
    connection: Connection,
    columns: MailboxColumns,
    headers: dict[int, bytes],
    take: Take,
) -> None:
    """Read messages that only their text can tell apart."""

    def take_slice(found: Columns) -> None:
        found.identity = [text or b"" for text in found.header]
        found.header = [headers.get(int(uid)) for uid in found.uid]
        take(ingest.read(data, found))

    def absent(asked: Uids) -> Uids:
        return _unread(columns, asked, ())

    uids = np.fromiter(headers, np.uint32)
    asked = (*_index_items(data, connection), _TEXT)
    await bulk.read(connection, columns.trouble, uids, asked, take_slice, absent)


async def add_structures(
    data: AccountData, connection: Connection, number: int, uids: Uids
) -> None:
    """Read body structures of messages of the selected mailbox. Raises ImapError.

    Without a structure a message is taken to have no attachment.
    """
    given: set[int] = set()

    def take(columns: Columns) -> None:
        found = [(int(u), s) for u, s in zip(columns.uid, columns.structure, strict=True) if s]
        put_structures(data, number, dict(found))
        given.update(uid for uid, _ in found)

    def absent(asked: Uids) -> Uids:
        return np.array([uid for uid in asked.tolist() if uid not in given], np.uint32)

    placed = data.index.mailbox(number)
    trouble = placed.structure_trouble
    await bulk.read(connection, trouble, uids, (items.UID, items.BODYSTRUCTURE), take, absent)
    hopeless = np.setdiff1d(uids, trouble.readable(uids))
    at = placed.positions(hopeless)
    data.emails.attachment[placed.rows[at[at >= 0]]] = NO


def put_structures(data: AccountData, number: int, structures: dict[int, bytes]) -> list[int]:
    """Take in raw BODYSTRUCTUREs by UID; returns the rows of those that are in the index."""
    placed = data.index.mailbox(number)
    at = placed.positions(np.array(list(structures), np.uint32))
    rows: list[int] = placed.rows[at[at >= 0]].tolist()
    raw = [s for s, position in zip(structures.values(), at.tolist(), strict=True) if position >= 0]
    keep_structures(data, rows, raw)
    return rows


def keep_structures(data: AccountData, rows: list[int], raw: list[bytes]) -> None:
    """Take in structures by row."""
    data.structures.put(rows, raw)
    data.emails.attachment[rows] = [YES if has_attachment(s) else NO for s in raw]
