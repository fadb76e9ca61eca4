"""RFC 9051 §6.4.5: the FETCH commands that fill the index."""

from __future__ import annotations

from collections.abc import Iterable

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
from gateway.sync.errors import MailboxChanged
from gateway.sync.identity import Tier
from gateway.sync.placements import MailboxColumns
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


async def add_uids(
    data: AccountData, connection: Connection, number: int, uids: Uids, *, guessed: bool = False
) -> None:
    """Read messages of the selected mailbox into the index, those that the server can give.

    guessed: there need not be messages with these UIDs. Raises ImapError; MailboxChanged when the
    mailbox left the account meanwhile.
    """
    nameless: dict[int, bytes] = {}

    def take(columns: Columns) -> None:
        if data.tier is Tier.FINGERPRINT:
            nameless.update(_take_out_nameless(columns))
        _take(data, number, columns)

    def absent(asked: Uids) -> Uids:
        return asked[:0] if guessed else _unread(placed, asked, nameless)

    placed = data.index.mailbox(number)
    asked = (*_index_items(data, connection), HEADER)
    await bulk.read(connection, placed.trouble, uids, asked, take, absent)
    if nameless:
        await _add_nameless(data, connection, number, nameless)


def _take(data: AccountData, number: int, columns: Columns) -> None:
    if number not in data.numbers.values():
        raise MailboxChanged("the mailbox is gone")
    ingest.add(data.index, data.headers, number, data.tier, columns)


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
    data: AccountData, connection: Connection, number: int, headers: dict[int, bytes]
) -> None:
    """Read the messages into the index that only their text can tell apart."""

    def take(columns: Columns) -> None:
        columns.identity = [text or b"" for text in columns.header]
        columns.header = [headers.get(int(uid)) for uid in columns.uid]
        _take(data, number, columns)

    def absent(asked: Uids) -> Uids:
        return _unread(placed, asked, ())

    placed = data.index.mailbox(number)
    uids = np.fromiter(headers, np.uint32)
    asked = (*_index_items(data, connection), _TEXT)
    await bulk.read(connection, placed.trouble, uids, asked, take, absent)


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
