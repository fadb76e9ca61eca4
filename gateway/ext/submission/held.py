"""Design §10: messages that are held until it is time: what the store has of one, and its way in.

It is the message as it will leave, so that whatever becomes of the Email changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import msgpack

from gateway.ext.submission.envelope import Envelope, read
from gateway.ext.submission.outgoing import Outgoing, outgoing
from gateway.jmap.errors import SetError
from gateway.sasl import AnyCredentials, Credentials, TokenCredentials
from gateway.store.base import Durable, StoreError
from gateway.sync.errors import NotCommitted
from gateway.sync.spool import Chunks

_PIECE_OCTETS: Final = 256 * 1024
# After its time it is tried for a day, and reports of what became of it need it no more.
_GRACE_SECONDS: Final = 3 * 24 * 3600.0
_ABOUT: Final = "about"


class Gone(Exception):
    """The message is not in the store any more, or only in part."""


class HeldMessages:
    """The held messages of all accounts. Every method raises NotCommitted when the store fails."""

    def __init__(self, durable: Durable) -> None:
        self._durable = durable

    async def keep(
        self,
        account_id: str,
        id_: str,
        envelope: Envelope,
        message: Outgoing,
        credentials: AnyCredentials | None,
        seconds: float,
    ) -> None:
        """Take in a message that is to leave in so many seconds."""
        seconds += _GRACE_SECONDS
        number = 0
        piece = bytearray()
        async for chunk in message.chunks():
            piece += chunk
            while len(piece) >= _PIECE_OCTETS:
                await self._put(account_id, id_, str(number), bytes(piece[:_PIECE_OCTETS]), seconds)
                del piece[:_PIECE_OCTETS]
                number += 1
        await self._put(account_id, id_, str(number), bytes(piece), seconds)
        about = [envelope.shown, number + 1, self._hidden(account_id, credentials)]
        await self._put(account_id, id_, _ABOUT, msgpack.packb(about), seconds)

    async def find(
        self, account_id: str, id_: str
    ) -> tuple[Envelope, Outgoing, AnyCredentials | None]:
        """A message, and how and as whom it is to leave. Raises Gone."""
        about = await self._get(account_id, id_, _ABOUT)
        envelope, pieces, hidden = msgpack.unpackb(about)
        try:
            message = await outgoing(self._chunks(account_id, id_, pieces))
            return read(envelope, ""), message, self._revealed(account_id, hidden)
        except SetError as error:
            raise Gone(id_) from error

    async def drop(self, account_id: str, id_: str) -> None:
        """Forget a message."""
        try:
            await self._durable.drop(account_id, (_bundle(id_),))
        except StoreError as error:
            raise NotCommitted(f"the store of held messages fails: {error.reason}") from error

    def _chunks(self, account_id: str, id_: str, pieces: int) -> Chunks:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(pieces):
                yield await self._get(account_id, id_, str(number))

        return chunks

    async def _put(
        self, account_id: str, id_: str, key: str, octets: bytes, seconds: float
    ) -> None:
        try:
            await self._durable.keep(account_id, _bundle(id_), {key: octets}, seconds)
        except StoreError as error:
            raise NotCommitted(f"the store of held messages fails: {error.reason}") from error

    async def _get(self, account_id: str, id_: str, key: str) -> bytes:
        try:
            found = await self._durable.load(account_id, _bundle(id_), (key,))
        except StoreError as error:
            raise NotCommitted(f"the store of held messages fails: {error.reason}") from error
        if key not in found:
            raise Gone(id_)
        return found[key]

    def _hidden(self, account_id: str, credentials: AnyCredentials | None) -> bytes | None:
        if credentials is None:
            return None
        return self._durable.hide(account_id, _packed(credentials))

    def _revealed(self, account_id: str, hidden: bytes | None) -> AnyCredentials | None:
        if hidden is None:
            return None
        octets = self._durable.reveal(account_id, hidden)
        if octets is None:
            raise Gone(account_id)
        return _unpacked(octets)


def _packed(credentials: AnyCredentials) -> bytes:
    kept: object
    if isinstance(credentials, TokenCredentials):
        kept = {"username": credentials.username, "token": credentials.token}
    else:
        kept = [credentials.username, credentials.password, credentials.master]
    octets: bytes = msgpack.packb(kept)
    return octets


def _unpacked(octets: bytes) -> AnyCredentials:
    packed = msgpack.unpackb(octets)
    return TokenCredentials(**packed) if isinstance(packed, dict) else Credentials(*packed)


def _bundle(id_: str) -> str:
    return f"outgoing/{id_}"
