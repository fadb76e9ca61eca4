"""RFC 8620 §6, §6.1: uploads: octets that a client has sent and no object refers to yet.

They are in the store, in pieces, and never in memory as a whole. Each upload is a bundle: its
pieces, and a mark that says whether it is complete. An incomplete one is no blob, and goes soon,
whatever became of the process that took it in. A list beside them has the sizes of those that are
complete, oldest first, of which some go early when there are too many.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import msgpack

from gateway.obs.log import get_logger
from gateway.store.base import Durable, StoreError
from gateway.sync import ids
from gateway.sync.errors import MessageGone, NotCommitted

PIECE_OCTETS: Final = 256 * 1024
LIFE_SECONDS: Final = 24 * 3600.0
"""How long an upload is kept; RFC 8620 §6 asks for an hour."""
PENDING_SECONDS: Final = 2400.0
"""How long a piece of an incomplete one is; more than any upload may take."""
LEAST_OCTETS: Final = 50_000
"""What an upload counts for at least, which bounds how many there are."""

_LIST: Final = "uploads"
_MARK: Final = "mark"
_INCOMPLETE: Final = b""

T = TypeVar("T")

log = get_logger(__name__)


class UploadGone(MessageGone):
    """The upload has expired, or made room for others: to who reads blobs, the same."""


class UploadTooLarge(Exception):
    """More octets than may be uploaded; `limit` is how many may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"an upload of more than {limit} octets")
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Upload:
    """A complete upload. `media_type` is what the client called it, `size` is in octets."""

    blob_id: str
    media_type: str
    size: int


class Listed(NamedTuple):
    """A complete upload in the list; `expires` in seconds since 1970."""

    blob_id: str
    size: int
    expires: float


class Uploads:
    """The uploads of one user to one account, of `quota` octets together.

    Every method raises NotCommitted when the store fails.
    """

    def __init__(self, store: Durable, account: str, quota: int) -> None:
        self._store = store
        self._account = account
        self._quota = quota

    async def receive(self, media_type: str, chunks: AsyncIterable[bytes], limit: int) -> Upload:
        """Take in an upload; when this returns, it is kept. No faster than the store takes it.

        Raises UploadTooLarge beyond `limit` octets, and what `chunks` raises. Nothing stays of an
        upload that is not taken in to its end.
        """
        blob_id = ids.upload_blob_id(secrets.token_bytes(ids.UPLOAD_OCTETS))
        limit = min(limit, self._quota)
        try:
            with _storing():
                size = await self._take_in(blob_id, media_type, chunks, limit)
                await self._make_room(blob_id, size)
        except BaseException:
            with suppress(StoreError):  # then it goes when its time has come
                await self._store.drop(self._account, (_bundle(blob_id),))
            raise
        return Upload(blob_id, media_type, size)

    async def find(self, blob_id: str) -> Upload | None:
        """The upload of that id, None when there is none, or not any more."""
        if not ids.is_upload_blob_id(blob_id):
            return None
        with _storing():
            found = await self._store.load(self._account, _bundle(blob_id), (_MARK,))
        mark = found.get(_MARK, _INCOMPLETE)
        if mark == _INCOMPLETE:
            return None
        media_type, size = msgpack.unpackb(mark)
        return Upload(blob_id, media_type, size)

    async def chunks(
        self, upload: Upload, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Octets [start, stop) of an upload, read as they are taken. Raises UploadGone."""
        stop = upload.size if stop is None else min(stop, upload.size)
        while start < stop:
            number, offset = divmod(start, PIECE_OCTETS)
            with _storing():
                found = await self._store.load(
                    self._account, _bundle(upload.blob_id), (str(number),)
                )
            if str(number) not in found:
                raise UploadGone(upload.blob_id)
            chunk = found[str(number)][offset : offset + stop - start]
            yield chunk
            start += len(chunk)

    # --- taking in -------------------------------------------------------------------------------

    async def _take_in(
        self, blob_id: str, media_type: str, chunks: AsyncIterable[bytes], limit: int
    ) -> int:
        """Store the pieces, and mark the upload as complete with the last of them; its size."""
        bundle = _bundle(blob_id)
        number = size = 0
        piece = bytearray()
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise UploadTooLarge(limit)
            piece += chunk
            while len(piece) > PIECE_OCTETS:
                entries = {str(number): bytes(piece[:PIECE_OCTETS])}
                if number == 0:
                    entries[_MARK] = _INCOMPLETE
                await _whole(self._store.keep(self._account, bundle, entries, PENDING_SECONDS))
                del piece[:PIECE_OCTETS]
                number += 1
        mark: bytes = msgpack.packb((media_type, size))
        entries = {str(number): bytes(piece), _MARK: mark}
        # A store that was emptied on the way has no mark: what came after it is no upload.
        expected = _INCOMPLETE if number else None
        if not await _whole(
            self._store.replace(self._account, bundle, _MARK, expected, entries, LIFE_SECONDS)
        ):
            raise NotCommitted("the store has lost pieces of an upload")
        return size

    async def _make_room(self, blob_id: str, size: int) -> None:
        """List a new upload, and let the oldest ones go that are too many with it."""
        while True:
            held = (await self._store.load(self._account, _LIST, (_LIST,))).get(_LIST)
            now = time.time()
            listed = [Listed(*each) for each in msgpack.unpackb(held)] if held is not None else []
            new = Listed(blob_id, size, now + LIFE_SECONDS)
            kept, gone = admitted(listed, new, self._quota, now)
            entries = {_LIST: msgpack.packb(kept)}
            if await self._store.replace(self._account, _LIST, _LIST, held, entries, LIFE_SECONDS):
                break
        if gone:
            log.info("uploads_displaced", count=len(gone))
            await self._store.drop(self._account, [_bundle(each.blob_id) for each in gone])


def admitted(
    listed: Sequence[Listed], new: Listed, quota: int, now: float
) -> tuple[list[Listed], list[Listed]]:
    """RFC 8620 §6: which uploads stay with a new one, and which have to go for it, oldest first.

    Those that have expired are in neither.
    """
    kept = [each for each in listed if each.expires > now and each.blob_id != new.blob_id]
    kept.append(new)
    excess = sum(max(each.size, LEAST_OCTETS) for each in kept) - quota
    first = 0
    while excess > 0 and first < len(kept) - 1:
        excess -= max(kept[first].size, LEAST_OCTETS)
        first += 1
    return kept[first:], kept[:first]


def _bundle(blob_id: str) -> str:
    return f"upload/{blob_id}"


async def _whole(storing: Coroutine[Any, Any, T]) -> T:
    """Wait for the end even when cancelled, so that nothing is stored after it was dropped."""
    task = asyncio.ensure_future(storing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise


@contextmanager
def _storing() -> Iterator[None]:
    """Raises NotCommitted for any failure of the store."""
    try:
        yield
    except StoreError as error:
        log.warning("uploads_unavailable", reason=error.reason)
        raise NotCommitted("the store of uploads fails") from error
