"""RFC 9051 §6.4.5: the FETCH commands that fill the index, in slices, newest first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gateway.imap.commands.fetch_columns import header_fields, stream_columns
from gateway.imap.connection import Connection
from gateway.imap.wire import items
from gateway.imap.wire.encode import pack_uids
from gateway.imap.wire.items import Item
from gateway.sync import ingest
from gateway.sync.arrays import Uids
from gateway.sync.data import AccountData
from gateway.sync.emails import NO, YES
from gateway.sync.errors import MailboxChanged
from gateway.sync.identity import Tier
from gateway.sync.structures import has_attachment

SLICE = 2000
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
_IDENTITY = {
    Tier.EMAILID: (items.EMAILID,),
    Tier.X_GUID: (items.X_GUID,),
    Tier.X_GM_MSGID: (items.X_GM_MSGID,),
    Tier.FINGERPRINT: (),
}


def _index_items(data: AccountData, connection: Connection) -> list[Item]:
    modseq = (items.MODSEQ,) if "CONDSTORE" in connection.enabled else ()
    identity = _IDENTITY[data.tier]
    return [items.UID, items.FLAGS, *modseq, items.INTERNALDATE, items.SIZE, *identity, HEADER]


def _slices(uids: Uids, connection: Connection) -> Iterator[bytes]:
    """Sets of at most SLICE messages, from the end of the mailbox to its start."""
    descending = np.sort(uids)[::-1]
    for start in range(0, len(descending), SLICE):
        ascending = descending[start : start + SLICE][::-1].tolist()
        yield from reversed(pack_uids(ascending, connection.max_set))


async def add_uids(data: AccountData, connection: Connection, number: int, uids: Uids) -> None:
    """Read messages of the selected mailbox into the index.

    Raises ImapError; MailboxChanged when the mailbox left the account meanwhile.
    """
    sets = _slices(uids, connection)
    async for columns in stream_columns(connection, sets, _index_items(data, connection)):
        if number not in data.numbers.values():
            raise MailboxChanged("the mailbox is gone")
        ingest.add(data.index, data.headers, number, data.tier, columns)


async def add_structures(
    data: AccountData, connection: Connection, number: int, uids: Uids
) -> None:
    """Read body structures of messages of the selected mailbox. Raises ImapError."""
    sets = _slices(uids, connection)
    async for columns in stream_columns(connection, sets, (items.UID, items.BODYSTRUCTURE)):
        found = [(int(u), s) for u, s in zip(columns.uid, columns.structure, strict=True) if s]
        put_structures(data, number, dict(found))


def put_structures(data: AccountData, number: int, structures: dict[int, bytes]) -> list[int]:
    """Take in raw BODYSTRUCTUREs by UID; returns the rows of those that are in the index."""
    placed = data.index.mailbox(number)
    at = placed.positions(np.array(list(structures), np.uint32))
    rows: list[int] = placed.rows[at[at >= 0]].tolist()
    raw = [s for s, position in zip(structures.values(), at.tolist(), strict=True) if position >= 0]
    data.structures.put(rows, raw)
    data.emails.attachment[rows] = [YES if has_attachment(s) else NO for s in raw]
    return rows
