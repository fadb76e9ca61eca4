"""RFC 8620 §6.2, RFC 8621 §4.1.4: the octets of messages and of their parts, as they are taken.

A blob is read in pieces, each an IMAP FETCH of its own, so that a slow reader holds neither
memory nor a connection of the account.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from gateway.imap.errors import ConnectionLost
from gateway.mime import body, transfer
from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.content import PIECE, Want


@dataclass(frozen=True, slots=True)
class Blob:
    """A message (section "") or a part of one; `size` is None until it has been read."""

    account: Account
    row: int
    section: str
    encoding: str | None
    size: int | None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The octets, transfer-decoded. Raises ImapError, also when the message goes away."""
        decoder = transfer.decoder(self.encoding)
        start = 0
        while True:
            piece = await self.account.content.piece(self.row, self.section, start)
            if piece is None:
                raise ConnectionLost("the message went away while it was read")
            if piece:
                yield decoder.feed(piece)
            if len(piece) < PIECE:
                break
            start += PIECE
        if rest := decoder.finish():
            yield rest


async def open_blob(account: Account, blob_id: str) -> Blob | None:
    """The blob of that id, None when the account has no such blob. Raises ImapError."""
    ref = ids.parse_blob_id(blob_id)
    if ref is None:
        return None
    data = await account.fresh()
    row = data.emails.row(ref.email_id)
    if row < 0:
        return None
    if not ref.sections:
        return Blob(account, row, "", None, int(data.emails.octets[row]))
    if await account.content.read([row], (Want.STRUCTURE,)):
        return None
    leaves = body.leaves(account.content.structure(row))
    part = next((leaf for leaf in leaves if (leaf.part_id,) == ref.sections), None)
    return Blob(account, row, ref.sections[0], part.encoding, None) if part is not None else None
