"""RFC 9051 §6.3.12: adding messages to an account, each of them once.

When the connection is lost after all of a message was sent, the server may have kept it or not. So
it is looked for among what is new in the account, for a while, and never sent a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from gateway.imap.commands.append import Appended
from gateway.imap.commands.append import append as append_message
from gateway.imap.commands.examine import leave
from gateway.imap.errors import AuthenticationFailed, CommandRefused, ImapError
from gateway.imap.wire.encode import Upload
from gateway.mime.threading import field_values
from gateway.store.base import StoreError
from gateway.sync.account import Account
from gateway.sync.added import Likeness
from gateway.sync.arrays import Mask
from gateway.sync.data import AccountData
from gateway.sync.errors import MessageGone
from gateway.sync.failures import Failure, FailureKind, of_refusal
from gateway.sync.spool import Chunks, spooled
from gateway.sync.write_plan import flag_of

_ATTEMPTS = 2
_LOOKS = (0.0, 0.5, 2.0)
"""Pauses before each look for a message of which it is not known whether it was added."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to be added to mailboxes, which has `size` octets.

    chunks: gives these octets, from the start each time it is called. message_id: as it stands in
    the header, with angle brackets; None if it has none.
    """

    mailbox_ids: frozenset[str]
    keywords: frozenset[str]
    received: datetime
    size: int
    chunks: Callable[[], AsyncIterator[bytes]]
    message_id: bytes | None


@dataclass(slots=True)
class _Sent:
    """A letter that was sent: where it is, if the server has told."""

    letter: Letter
    mailbox_id: str
    place: Appended | None


async def append(
    account: Account, letters: Sequence[Letter], refresh: Callable[[], Awaitable[None]]
) -> list[int | Failure]:
    """Add each message to the first of its mailboxes; the rows of the Emails they are now.

    refresh: reads the account again. Raises what that does, and AuthenticationFailed.
    """
    await account.added.note(
        Likeness(letter.size, (letter.message_id or b"").strip(b"<>")) for letter in letters
    )
    were = account.data.emails.visible().copy()
    sent = [await _send(account, letter) for letter in letters]
    found: dict[int, int] = {}
    for pause in _LOOKS:
        await asyncio.sleep(pause)
        await refresh()
        for at, each in enumerate(sent):
            if isinstance(each, _Sent) and at not in found:
                row = _row(account.data, each, were, set(found.values()))
                if row is not None:
                    found[at] = row
        if all(isinstance(each, Failure) or at in found for at, each in enumerate(sent)):
            break
    return [
        each if isinstance(each, Failure) else found.get(at, Failure(FailureKind.UNAVAILABLE))
        for at, each in enumerate(sent)
    ]


async def _send(account: Account, letter: Letter) -> _Sent | Failure:
    data = account.data
    mailbox_id = min(letter.mailbox_ids)
    mailbox = data.mailboxes.get(mailbox_id)
    if not letter.mailbox_ids <= data.numbers.keys() or mailbox is None or mailbox.wire is None:
        return Failure(FailureKind.NO_MAILBOX)
    if not data.held().isdisjoint(data.numbers[id_] for id_ in letter.mailbox_ids):
        return Failure(FailureKind.UNAVAILABLE, "a mailbox is left alone")
    try:
        async with spooled(letter.chunks()) as chunks:
            place = await _place(account, mailbox.wire, letter, chunks)
    except CommandRefused as refused:
        return of_refusal(refused)
    except AuthenticationFailed:
        raise
    except MessageGone as error:
        return Failure(FailureKind.NOT_FOUND, str(error))
    except (ImapError, StoreError, OSError) as error:
        return Failure(FailureKind.UNAVAILABLE, str(error))
    return _Sent(letter, mailbox_id, place)


async def _place(account: Account, wire: bytes, letter: Letter, chunks: Chunks) -> Appended | None:
    """Where a letter is now; None if that is not known, not even whether it is there.

    Raises ImapError when it is not.
    """
    flags = sorted(map(flag_of, letter.keywords))
    message_id = (letter.message_id or b"").decode("ascii", "replace") or None
    attempts = _ATTEMPTS
    while True:
        counted = _Counted(chunks())
        upload = Upload(letter.size, counted)
        try:
            async with account.pool.connection() as connection:
                # A Dovecot session that has a mailbox selected empties the one that somebody has
                # made under the same name since, when it looks at it again after APPEND.
                if before := leave(connection):
                    await connection.run_all(*before)
                return await append_message(
                    connection, wire, upload, flags, letter.received, message_id
                )
        except (CommandRefused, AuthenticationFailed):
            raise
        except ImapError:
            attempts -= 1
            if counted.octets >= letter.size:
                return None
            if not attempts:
                raise


class _Counted:
    """Counts the octets that were taken: what was not sent in full, no server has kept."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.octets = 0

    def __aiter__(self) -> _Counted:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self._chunks)
        self.octets += len(chunk)
        return chunk


def _row(data: AccountData, sent: _Sent, were: Mask, taken: set[int]) -> int | None:
    """The Email that a letter is now.

    It is where the server has told; else, or if another client has moved it on since, it is one
    that is alike, of those that were not there before.
    """
    columns = data.columns(sent.mailbox_id)
    place = sent.place
    if place is not None and columns is not None and columns.uidvalidity == place.uidvalidity:
        at = int(columns.positions(np.array([place.uid], np.uint32))[0])
        if at >= 0:
            return int(columns.rows[at])
    new = data.emails.visible().copy()
    new[: len(were)] &= ~were
    for row in np.flatnonzero(new).tolist():
        if row not in taken and _is_like(data, row, sent.letter):
            return row
    return None


def _is_like(data: AccountData, row: int, letter: Letter) -> bool:
    """Whether an Email may be a letter, by its size and its Message-ID."""
    if int(data.emails.octets[row]) != letter.size:
        return False
    header = data.headers.get(row)
    if header is None:
        return False
    (message_id,) = field_values(header, (b"message-id",))
    return message_id.strip() == (letter.message_id or b"").strip()
