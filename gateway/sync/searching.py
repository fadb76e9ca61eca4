"""RFC 9051 §6.4.4: Emails searched on the server, each once, and what was found remembered.

A search goes through the mailboxes in slices, newest first. It lends its connection for some
seconds at a time, so that whatever else the user wants comes in between, and what it has found by
then is kept: who asks again, after a failure or a deadline, goes on where it ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np

from gateway.imap.commands.examine import Examine, Selected
from gateway.imap.commands.search import Search, uid_search
from gateway.imap.connection import Connection
from gateway.imap.errors import (
    CommandRefused,
    ConnectionLost,
    ImapError,
    MailboxUnavailable,
    ServerBusy,
)
from gateway.imap.pool import Pool
from gateway.imap.wire import criteria
from gateway.imap.wire.criteria import Criteria
from gateway.sync.arrays import Mask, Rows, Uids
from gateway.sync.covering import cover, newest_set
from gateway.sync.data import AccountData
from gateway.sync.errors import MailboxChanged
from gateway.sync.placements import MailboxColumns
from gateway.sync.strings import CHUNK_ROWS
from gateway.sync.verdicts import YOUNG_SECONDS, Remembered, Verdicts

T = TypeVar("T")

DEADLINE = 60.0
"""Seconds that a client waits for a search. What was found until then is kept."""
TURN_SECONDS = 2.0
"""Seconds after which a connection is given back, for others to use in between."""
# Messages of one SEARCH: the first ones tell how many fit into half a turn, and how many of them
# match. More of these in one answer would take the loop too long to read.
_SLICE_FIRST = 500
_SLICE_MOST = 100_000
_MATCHING_MOST = 10_000
# Mail moves while it is searched; what three rounds do not find anywhere is not there.
_ROUNDS = 3
# Connections of a pool that are not for searches: the watcher's, and one for other requests.
_SPARED = 2
# Headers that the gateway looks through by itself for one search.
_LOCAL_MOST = 100_000

# RFC 5530: the server may well search, but not now.
_LATER = frozenset(
    {"UNAVAILABLE", "SERVERBUG", "LIMIT", "INUSE", "CONTACTADMIN", "OVERQUOTA", "EXPUNGEISSUED"}
)


class SearchRefused(ImapError):
    """The server does not take the criteria (BADCHARSET, or keys or words it has no use for).

    `is_final` when it says that this is so, and not just NO.
    """

    def __init__(self, text: str, *, is_final: bool) -> None:
        super().__init__(text)
        self.text = text
        self.is_final = is_final


class TooManyToSearch(ImapError):
    """More headers than the gateway looks through by itself."""


@dataclass(slots=True)
class _Pace:
    """How many messages are searched by one command."""

    size: int

    def took(self, count: int, matching: int, seconds: float) -> None:
        """So many took so long, and so many of them matched: of the next, twice as many may."""
        fitting = int(count * TURN_SECONDS / 2 / max(seconds, 1e-6))
        readable = _MATCHING_MOST * count // max(2 * matching, 1)
        self.size = max(_SLICE_FIRST, min(fitting, readable, _SLICE_MOST))


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one lease of a connection brought: the UIDs looked at, and those that match.

    `after` is what the server says of the mailbox when that was done.
    """

    asked: Uids
    matching: Uids
    after: Selected


class Searching:
    """The searches of one account.

    `recheck` brings its index up to date, `load_headers` makes the headers of rows readable.
    """

    def __init__(
        self,
        data: AccountData,
        pool: Pool,
        recheck: Callable[[], Awaitable[object]],
        load_headers: Callable[[range], Awaitable[None]],
    ) -> None:
        self._data = data
        self._pool = pool
        self._recheck = recheck
        self._load_headers = load_headers
        self._remembered = Remembered()

    def close(self) -> None:
        """Bring nothing up to date any more."""
        self._recheck = _gone

    @property
    def nbytes(self) -> int:
        """Octets in memory."""
        return self._remembered.nbytes

    async def matching(self, sought: Criteria, rows: Mask) -> Mask:
        """Which of `rows` match by the server's SEARCH, same shape.

        Requests for the same search share it: the second one waits for the first, and goes on if
        that leaves. Raises SearchRefused, and ImapError.
        """
        with self._remembered.verdicts(sought) as found:
            async with found.lock:
                try:
                    await self._search(sought, found, rows)
                except SearchRefused as refused:
                    if refused.is_final:
                        found.refusal = refused.text
                    raise
            return found.matching(len(rows)) & rows

    async def matching_header(
        self, sought: Criteria, rows: Mask, test: Callable[[bytes], bool]
    ) -> Mask:
        """The same by a `test` of the header fields in the index, when the server refuses.

        Raises TooManyToSearch, and ImapError.
        """
        with self._remembered.verdicts(sought) as found:
            async with found.lock:
                await self._look(found, rows, test)
            return found.matching(len(rows)) & rows

    def _unknown(self, found: Verdicts, rows: Mask) -> Mask:
        return rows & ~found.known(len(rows)) & self._data.emails.visible()[: len(rows)]

    # --- on the server ---------------------------------------------------------------------------

    async def _search(self, sought: Criteria, found: Verdicts, rows: Mask) -> None:
        for _ in range(_ROUNDS):
            unknown = self._unknown(found, rows)
            if not unknown.any():
                return
            if found.refusal is not None:
                raise SearchRefused(found.refusal, is_final=True)
            mailboxes = iter(cover(self._data, unknown))
            workers = max(1, self._pool.size - _SPARED)
            works = [self._work(sought, found, mailboxes) for _ in range(workers)]
            if all(await _together(works)):
                return
            await self._recheck()
        if self._unknown(found, rows).any():
            raise ServerBusy(None, "mail moves faster than it can be searched")

    async def _work(
        self, sought: Criteria, found: Verdicts, mailboxes: Iterator[tuple[int, Uids]]
    ) -> bool:
        """Search one mailbox after the other; False if one of them is not what it was."""
        settled, pace = True, _Pace(_SLICE_FIRST)
        for number, uids in mailboxes:
            try:
                settled &= await self._search_mailbox(sought, found, number, uids, pace)
            except (MailboxUnavailable, MailboxChanged):
                settled = False
        return settled

    async def _search_mailbox(
        self, sought: Criteria, found: Verdicts, number: int, uids: Uids, pace: _Pace
    ) -> bool:
        """Search messages of a mailbox; False if some are no longer there.

        Raises MailboxUnavailable or MailboxChanged when the mailbox is not what it was, and
        SearchRefused.
        """
        settled, uidvalidity = True, self._data.index.mailbox(number).uidvalidity
        while len(uids):
            turn = await self._turn(sought, number, uids, pace)
            if not _agree(self._columns(number, uidvalidity), turn.after):
                await self._recheck()
            columns = self._columns(number, uidvalidity)
            # What is there now was there while it was searched.
            rows = _rows(columns, turn.asked)
            found.add(rows, _rows(columns, turn.matching), self._young(rows))
            settled &= len(rows) == len(turn.asked)
            uids = uids[: len(uids) - len(turn.asked)]
            uids = uids[columns.positions(uids) >= 0]
        return settled

    def _young(self, rows: Rows) -> Rows:
        young: Rows = rows[self._data.emails.received[rows] > time.time() - YOUNG_SECONDS]
        return young

    def _columns(self, number: int, uidvalidity: int) -> MailboxColumns:
        columns = self._data.index.mailboxes.get(number)
        if columns is None or columns.uidvalidity != uidvalidity:
            raise MailboxChanged("the mailbox is another one")
        return columns

    async def _turn(self, sought: Criteria, number: int, uids: Uids, pace: _Pace) -> _Turn:
        """Search the greatest of the UIDs, as many as a turn allows."""
        mailbox = self._data.by_number().get(number)
        if mailbox is None or mailbox.wire is None:
            raise MailboxChanged("the mailbox is gone")
        every = self._data.index.mailbox(number).uids
        # An idle connection may turn out to be dead.
        with suppress(ConnectionLost):
            async with self._pool.connection(mailbox.wire, DEADLINE, examined=False) as connection:
                return await _take_turn(connection, mailbox.wire, sought, every, uids, pace)
        async with self._pool.connection(mailbox.wire, DEADLINE, examined=False) as connection:
            return await _take_turn(connection, mailbox.wire, sought, every, uids, pace)

    # --- by the gateway itself -------------------------------------------------------------------

    async def _look(self, found: Verdicts, rows: Mask, test: Callable[[bytes], bool]) -> None:
        unknown = np.flatnonzero(self._unknown(found, rows)).astype(np.int32)
        if len(unknown) > _LOCAL_MOST:
            raise TooManyToSearch(len(unknown))
        chunks = unknown // CHUNK_ROWS
        for chunk in np.unique(chunks).tolist():
            start = chunk * CHUNK_ROWS
            await self._load_headers(range(start, min(start + CHUNK_ROWS, len(rows))))
            headers = {
                row: self._data.headers.get(row) for row in unknown[chunks == chunk].tolist()
            }
            there = {row: header for row, header in headers.items() if header is not None}
            matching = [row for row, header in there.items() if test(header)]
            found.add(np.array(list(there), np.int32), np.array(matching, np.int32))
            await asyncio.sleep(0)


async def _take_turn(
    connection: Connection, wire: bytes, sought: Criteria, every: Uids, uids: Uids, pace: _Pace
) -> _Turn:
    room = connection.max_set - sought.octets
    most = connection.max_messages or len(uids)
    # What came since the mailbox was selected is seen only when it is selected anew.
    before = [Examine(wire)]
    left, matching = len(uids), list[Uids]()
    now = time.monotonic()
    end = now + TURN_SECONDS
    while left:
        size = min(pace.size, most)
        packed, count = newest_set(every, uids[max(0, left - size) : left], room)
        keys = criteria.all_of(criteria.uids(packed), sought)
        started = now
        try:
            matching.append(np.array(await uid_search(connection, keys, *before), np.uint32))
        except CommandRefused as refused:
            await _explain(connection, wire, refused)
        now = time.monotonic()
        pace.took(count, len(matching[-1]), now - started)
        left -= count
        before = []
        if now >= end:
            break
    after = await connection.run(Examine(wire))
    return _Turn(uids[left:], np.concatenate(matching[::-1]), after)


async def _explain(connection: Connection, wire: bytes, refused: CommandRefused) -> NoReturn:
    """Raise what a refusal means: MailboxUnavailable, ServerBusy, or else SearchRefused."""
    if refused.command != Search.name:
        raise refused
    await connection.run(Examine(wire))
    if refused.code in _LATER:
        raise ServerBusy(refused.code, refused.text) from refused
    is_final = refused.status == "BAD" or refused.code == "BADCHARSET"
    raise SearchRefused(refused.text, is_final=is_final) from refused


def _agree(columns: MailboxColumns, after: Selected) -> bool:
    """Whether the index has what the server has."""
    known = columns.uidvalidity, columns.uidnext, columns.exists
    return known == (after.uidvalidity, after.uidnext or 0, after.exists)


def _rows(columns: MailboxColumns, uids: Uids) -> Rows:
    at = columns.positions(uids)
    rows: Rows = columns.rows[at[at >= 0]]
    return rows


async def _together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Results of all; the first failure ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def _gone() -> None:
    """Raises ConnectionLost: the account is not in memory any more."""
    raise ConnectionLost("the account is closed")
