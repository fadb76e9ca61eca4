"""RFC 8621 §4.6: blobs that are enclosed in new messages.

They are measured first, so that it is known how long the message will be, and read as it is sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

from gateway.imap.errors import ImapError
from gateway.jmap.errors import SetError
from gateway.mail.blob import Blob, BlobTooLarge, open_blob
from gateway.mail.capability import MAX_ATTACHMENTS_OCTETS
from gateway.mime import compose as mime
from gateway.mime.compose import Enclosed, NewPart, Piece
from gateway.mime.compose_enclosed import Encoder, Measure
from gateway.sync.account import Account
from gateway.sync.turns import Turns


class EnclosureChanged(ImapError):
    """What is to be enclosed in a message is not any more what it was; the message is not sent."""


async def measured(account: Account, root: NewPart, blob_ids: Sequence[str]) -> dict[str, Measure]:
    """What is known of each blob of a message to be; blob_ids: as often as they are enclosed.

    Raises SetError blobNotFound, tooLarge; ImapError.
    """
    blobs: dict[str, Blob] = {}
    not_found: list[str] = []
    for blob_id in dict.fromkeys(blob_ids):
        try:
            blob = await open_blob(account, blob_id)
        except BlobTooLarge:
            raise SetError("tooLarge", "The message that has a blob is too large.") from None
        if blob is None:
            not_found.append(blob_id)
        else:
            blobs[blob_id] = blob
    if not_found:
        raise SetError("blobNotFound", "There are no such blobs.", notFound=not_found)
    as_messages = set(_message_blobs(root))
    measures = {
        blob_id: await _measure(blob, whole=blob_id in as_messages)
        for blob_id, blob in blobs.items()
    }
    if sum(measures[blob_id].size for blob_id in blob_ids) > MAX_ATTACHMENTS_OCTETS:
        text = f"An Email has at most {MAX_ATTACHMENTS_OCTETS} octets of attachments."
        raise SetError("tooLarge", text)
    return measures


def _message_blobs(part: NewPart) -> Iterable[str]:
    if isinstance(part.content, mime.Blob) and part.type.startswith("message/"):
        yield part.content.id
    if isinstance(part.content, tuple):
        for child in part.content:
            yield from _message_blobs(child)


async def _measure(blob: Blob, *, whole: bool) -> Measure:
    """How long a blob is; with `whole`, also what it consists of."""
    measure = Measure()
    size = await blob.measure()
    if not whole or size > MAX_ATTACHMENTS_OCTETS:
        measure.size = size
        return measure
    turns = Turns()
    async with aclosing(blob.chunks()) as chunks:
        async for chunk in chunks:
            measure.feed(chunk)
            await turns.give()
    return measure


async def chunks(account: Account, pieces: Sequence[Piece]) -> AsyncGenerator[bytes, None]:
    """The octets of a message. Raises EnclosureChanged, ImapError."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        async with aclosing(_encoded(account, piece)) as encoded:
            async for octets in encoded:
                yield octets


async def _encoded(account: Account, enclosed: Enclosed) -> AsyncGenerator[bytes, None]:
    """A blob as it is enclosed: never more octets than was said, nor an end that is too early."""
    blob = await open_blob(account, enclosed.id)
    if blob is None:
        raise EnclosureChanged("a blob is gone")
    encoder = Encoder(enclosed.encoding)
    left = enclosed.size
    async with aclosing(blob.chunks()) as chunks:
        async for chunk in chunks:
            if octets := encoder.feed(chunk):
                left -= len(octets)
                if left < 0:
                    break
                yield octets
    octets = encoder.finish()
    if left != len(octets):
        raise EnclosureChanged("a blob has another size")
    yield octets
