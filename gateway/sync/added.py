"""RFC 8621 §4.6-4.8: which new mail clients have added through the gateway: it was not delivered.

A letter is noted before it is sent, where other nodes see it, too: whichever finds it first on the
mail server knows then. What it will be called there is not known yet, so it is told by its size
and its Message-ID.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

from gateway.mime import brackets
from gateway.mime.threading import field_values
from gateway.obs.log import get_logger
from gateway.store.base import Durable, StoreError

# A letter is remembered through the day after the one on which it was added.
_DAY_SECONDS: Final = 24 * 3600
_NOTED: Final = b"\x01"

log = get_logger(__name__)


class Likeness(NamedTuple):
    """What a letter is told by. message_id: without angle brackets, b"" if it has none."""

    size: int
    message_id: bytes

    @property
    def key(self) -> str:
        """The name of the note in the store, which says nothing of the letter."""
        return blake2b(b"%d %b" % self, digest_size=16).hexdigest()


def likeness(size: int, header: bytes) -> Likeness:
    """That of a message with this header."""
    (value,) = field_values(header, (b"message-id",))
    return Likeness(size, b"".join(brackets.items(value)[:1]))


class Added:
    """The notes of one account."""

    def __init__(self, durable: Durable, account_id: str) -> None:
        self._durable = durable
        self._account = account_id

    async def note(self, letters: Iterable[Likeness]) -> None:
        """These are about to be added. Where the store fails, they count as delivered."""
        notes = {letter.key: _NOTED for letter in letters}
        if not notes:
            return
        try:
            await self._durable.keep(self._account, _bundle(), notes, 2.0 * _DAY_SECONDS)
        except StoreError as error:
            log.warning("save_failed", reason=error.reason)

    async def among(self, letters: Mapping[str, Likeness]) -> Collection[str]:
        """Which of these, by their names here, were added. Raises StoreError."""
        names = {letter.key: name for name, letter in letters.items()}
        found: set[str] = set()
        if not names:
            return found
        for days_ago in (0, 1):
            found |= (await self._durable.load(self._account, _bundle(days_ago), [*names])).keys()
        return {names[key] for key in found}


def _bundle(days_ago: int = 0) -> str:
    return f"added/{int(time.time()) // _DAY_SECONDS - days_ago}"
