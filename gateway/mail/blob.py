"""RFC 8620 §6, RFC 8621 §4.1.4: the octets of messages, their parts and uploads, as they are taken.

A blob is octets of a message that the server can be asked for, or an upload, or decoded octets, or
some of those of another blob: a part of an attached message is three of these. None of them is kept
in memory. Only a Sieve script is (RFC 9661 §2.2).
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakKeyDictionary

from gateway.jmap.limits import DEFAULTS
from gateway.mime import body, message, transfer
from gateway.mime.structure import Part
from gateway.sync import ids, pieces
from gateway.sync.account import Account
from gateway.sync.content import Want
from gateway.sync.lru import Cache
from gateway.sync.pieces import Extent
from gateway.sync.sections import Place
from gateway.sync.turns import off_loop
from gateway.sync.uploads import Upload

# Blobs of an account about which is remembered what reading them has shown.
_REMEMBERED = 64
# As of so long ago at most a script is the one that was named a moment ago.
_SCRIPT_SECONDS = 1.0
# Encoded octets between two places from which decoding can go on.
_STRIDE = 1 << 20


class BlobTooLarge(Exception):
    """The blob has more octets than can be taken at once; `limit` is how many could."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a blob of more than {limit} octets")
        self.limit = limit


class _Landmark(NamedTuple):
    """At octet `encoded` of the input, `decoded` octets have come out and `held` not yet."""

    encoded: int
    decoded: int
    held: bytes


class _Inner(NamedTuple):
    """A part of a message that is a blob itself: octets [start, end) of that, encoded.

    size: how many they are when decoded.
    """

    start: int
    end: int
    encoding: str
    size: int


@dataclass(slots=True)
class _Known:
    """What reading a blob has shown: it never changes."""

    size: int | None = None
    is_told_wrong: bool = False
    """Whether the server tells another size than there is."""
    landmarks: list[_Landmark] = field(default_factory=lambda: [_Landmark(0, 0, b"")])
    inner: _Inner | None = None


class Blob:
    """RFC 8620 §6: immutable octets, which are read when they are taken."""

    @property
    def size(self) -> int | None:
        """How many octets there are; None until they have been counted."""
        raise NotImplementedError

    def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        """Octets [start, stop), to the end without `stop`; fewer where the blob ends earlier.

        Raises ImapError; MessageGone when the message goes away meanwhile; NotCommitted when the
        store fails that has the upload.
        """
        raise NotImplementedError

    async def read(self, limit: int) -> bytes:
        """All octets. Raises BlobTooLarge if there are more than `limit`, and ImapError."""
        if self.size is not None and self.size > limit:
            raise BlobTooLarge(limit)
        octets = bytearray()
        async with aclosing(self.chunks()) as chunks:
            async for chunk in chunks:
                octets += chunk
                if len(octets) > limit:
                    raise BlobTooLarge(limit)
        return bytes(octets)

    async def measure(self) -> int:
        """How many octets there are, if need be by counting. Raises ImapError."""
        if self.size is not None:
            return self.size
        total = 0
        async with aclosing(self.chunks()) as chunks:
            async for chunk in chunks:
                total += len(chunk)
        return total


# --- what a blob can be ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stored(Blob):
    """What is at a place in a message, as it is there.

    told: how many octets the server says there are. is_exact: that there are no others at the
    place, although more octets of the message may follow.
    """

    account: Account
    row: int
    place: Place
    told: int
    is_exact: bool
    known: _Known

    @property
    def size(self) -> int | None:
        if self.known.is_told_wrong:
            return self.known.size
        return self.told

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        if self.is_exact:
            stop = self.told if stop is None else min(stop, self.told)
        extent = Extent(self.row, self.place, self.told, start, stop)
        position = start
        async with aclosing(pieces.read(self.account, extent)) as read:
            async for piece in read:
                position += len(piece)
                if position > self.told:
                    self.known.is_told_wrong = True
                yield piece
        if extent.stop is None and (position > start or not start):
            self.known.size = position
            self.known.is_told_wrong = position != self.told


@dataclass(frozen=True, slots=True)
class _Uploaded(Blob):
    """What a client has uploaded."""

    account: Account
    upload: Upload

    @property
    def size(self) -> int | None:
        return self.upload.size

    def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        return self.account.uploads.chunks(self.upload, start, stop)


@dataclass(frozen=True, slots=True)
class _Decoded(Blob):
    """What another blob is without its Content-Transfer-Encoding."""

    source: Blob
    encoding: str
    known: _Known

    @property
    def size(self) -> int | None:
        return self.known.size

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        landmarks = self.known.landmarks
        at = bisect_right(landmarks, start, key=lambda landmark: landmark.decoded) - 1
        encoded, position, held = landmarks[at]
        decoder = transfer.decoder(self.encoding)
        decoder.feed(held)
        async with aclosing(self.source.chunks(encoded)) as read:
            async for piece in read:
                octets = decoder.feed(piece)
                if chunk := _cut(octets, position, start, stop):
                    yield chunk
                encoded, position = encoded + len(piece), position + len(octets)
                if stop is not None and position >= stop:
                    return
                held_now = decoder.held
                if held_now is not None and encoded - landmarks[-1].encoded >= _STRIDE:
                    landmarks.append(_Landmark(encoded, position, held_now))
        octets = decoder.finish()
        if chunk := _cut(octets, position, start, stop):
            yield chunk
        self.known.size = position + len(octets)


@dataclass(frozen=True, slots=True)
class _Window(Blob):
    """Octets [first, end) of another blob."""

    source: Blob
    first: int
    end: int

    @property
    def size(self) -> int | None:
        return self.end - self.first

    def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        end = self.end if stop is None else min(self.end, self.first + stop)
        return self.source.chunks(min(self.first + start, end), end)


@dataclass(frozen=True, slots=True)
class _Octets(Blob):
    """What is in memory."""

    octets: bytes

    @property
    def size(self) -> int | None:
        return len(self.octets)

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        if octets := self.octets[start:stop]:
            yield octets


def _cut(octets: bytes, position: int, start: int, stop: int | None) -> bytes:
    """Those of [start, stop) in octets of which the first is the one at `position`."""
    first = max(0, start - position)
    last = len(octets) if stop is None else min(len(octets), stop - position)
    return octets if first == 0 and last == len(octets) else octets[first : max(first, last)]


# --- which blob an id stands for ------------------------------------------------------------------


async def open_blob(account: Account, blob_id: str) -> Blob | None:
    """The blob of that id, None when the account has no such blob.

    Raises ImapError and NotCommitted, and BlobTooLarge for a part of a message that is too large to
    look into.
    """
    if ids.is_script_blob_id(blob_id):
        return await _open_script(account, blob_id)
    ref = ids.parse_blob_id(blob_id)
    if ref is None:
        return None
    if ref.email_id is None:
        return await _open_upload(account, ref)
    data = await account.fresh()
    row = data.emails.row(ref.email_id)
    return await _open(account, row, ref) if row >= 0 else None


async def _open_script(account: Account, blob_id: str) -> Blob | None:
    """The octets of a script, as long as it has these."""
    if account.sieve is None:
        return None
    script = (await account.sieve.fresh(_SCRIPT_SECONDS)).with_blob(blob_id)
    return _Octets(script.content) if script is not None else None


async def _open_upload(account: Account, ref: ids.BlobRef) -> Blob | None:
    if ref.sections:
        outer = await _open_upload(account, ids.BlobRef(ref.whole, ref.sections[:-1]))
        return await _open_inner(account, outer, ref) if outer is not None else None
    upload = await account.uploads.find(ref.whole)
    return _Uploaded(account, upload) if upload is not None else None


async def _open(account: Account, row: int, ref: ids.BlobRef) -> Blob | None:
    if not ref.sections:
        octets = int(account.data.emails.octets[row])
        return _Stored(account, row, Place(), octets, False, _known(account, ref))
    if len(ref.sections) == 1:
        return await _open_part(account, row, ref)
    outer = await _open(account, row, ids.BlobRef(ref.whole, ref.sections[:-1]))
    return await _open_inner(account, outer, ref) if outer is not None else None


async def _open_part(account: Account, row: int, ref: ids.BlobRef) -> Blob | None:
    if await account.content.read([row], (Want.STRUCTURE,)):
        return None
    part = _leaf(account.content.structure(row), ref.sections[-1])
    if part is None:
        return None
    section = account.content.body(row, part, part.size)
    # Where the server is not to be trusted about the parts, they are windows of the message.
    is_exact = not section.place.part
    known = _known(account, ref)
    encoding = part.encoding
    stored_known = known if transfer.is_identity(encoding) else _Known()
    stored = _Stored(account, row, section.place, section.octets, is_exact, stored_known)
    return stored if transfer.is_identity(encoding) else _Decoded(stored, encoding, known)


async def _open_inner(account: Account, outer: Blob, ref: ids.BlobRef) -> Blob | None:
    """A part of the message that `outer` is, which is read once to find it."""
    known = _known(account, ref)
    # One message at a time is in memory for this.
    async with _memory[account].looking:
        if known.inner is None:
            octets = await outer.read(DEFAULTS.max_size_upload)
            known.inner = await off_loop(len(octets), _find_inner, octets, ref.sections[-1])
    if known.inner is None:
        return None
    start, end, encoding, known.size = known.inner
    window = _Window(outer, start, end)
    return window if transfer.is_identity(encoding) else _Decoded(window, encoding, known)


def _find_inner(octets: bytes, section: str) -> _Inner | None:
    found = message.parse(octets)
    part = _leaf(found.root, section)
    if part is None:
        return None
    span = found.span(part)
    decoded, _ = transfer.decode(found.content(part), part.encoding)
    return _Inner(span.content, span.end, part.encoding, len(decoded))


def _leaf(root: Part, section: str) -> Part | None:
    return next((leaf for leaf in body.leaves(root) if leaf.part_id == section), None)


class _Memory:
    """What is known of the blobs of an account that were used lately."""

    def __init__(self) -> None:
        self.known: Cache[ids.BlobRef, _Known] = Cache(_REMEMBERED)
        self.looking = asyncio.Lock()


_memory: WeakKeyDictionary[Account, _Memory] = WeakKeyDictionary()


def _known(account: Account, ref: ids.BlobRef) -> _Known:
    return _memory.setdefault(account, _Memory()).known.get(ref, _Known)
