"""RFC 9051 §6.4.5: the octets of a section in pieces, as they are taken.

Each piece is a FETCH of its own. The next ones are on their way while one is being used; nobody
who is slow to use them keeps a connection from others, or has more than a few of them in memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from dataclasses import dataclass

from gateway.imap.commands.examine import examine
from gateway.imap.commands.fetch_window import FetchWindow
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused, ConnectionLost, ImapError, MailboxUnavailable
from gateway.imap.wire import items
from gateway.sync.account import Account
from gateway.sync.errors import MessageGone
from gateway.sync.reader import DEADLINE
from gateway.sync.sections import Place

PIECE = 6720 * 78
"""Octets of a piece: servers find each place anew, so that small ones are slow.

They are lines of base64 as RFC 2045 §6.8 has them, so that pieces of it are decoded as they are.
"""

_PIPELINED = 2  # pieces that the server is asked for at once
_WINDOW = 4  # pieces that are asked for or wait to be used
_ENOUGH = _WINDOW - _PIPELINED  # waiting pieces above which no others are asked for
_TURN_SECONDS = 0.25  # for which a connection is kept from others who wait for one


@dataclass(frozen=True, slots=True)
class Extent:
    """Octets [start, stop) of what is at a place in the message of a row.

    They are counted from the place. `size` is how many the server says there are, which need not
    be true; stop: None for the end, wherever that is.
    """

    row: int
    place: Place
    size: int
    start: int = 0
    stop: int | None = None


async def read(account: Account, extent: Extent) -> AsyncGenerator[bytes, None]:
    """The octets, at most PIECE at a time; fewer than asked for if the end comes first.

    A lost connection is made up for by another one, unless that is lost before anything came.
    Raises ImapError; MessageGone when the message goes away.
    """
    reading = _Reading(account, extent)
    work = asyncio.create_task(reading.run())
    work.add_done_callback(reading.on_end)
    try:
        while (piece := await reading.next_piece()) is not None:
            yield piece
        await work
    finally:
        # What is under way is waited for: a command that is given up costs the connection.
        reading.leave()
        with suppress(ImapError):
            await work


class _Reading:
    """One extent: `run` asks the server for pieces, `next_piece` gives them."""

    def __init__(self, account: Account, extent: Extent) -> None:
        self._account = account
        self._extent = extent
        self._came = extent.start  # where the octets that came end
        self._ended = extent.stop is not None and extent.start >= extent.stop
        self._under_way: deque[tuple[int, int]] = deque()  # start and octets of what is asked for
        self._ready: deque[bytes] = deque()
        self._news = asyncio.Event()  # there is a piece, or there will be none
        self._room = asyncio.Event()  # pieces were taken
        self._over = False
        self._lost_at: int | None = None

    # --- for whoever uses the pieces -------------------------------------------------------------

    async def next_piece(self) -> bytes | None:
        """The next piece; None when there is no other."""
        while not self._ready and not self._over:
            self._news.clear()
            await self._news.wait()
        if not self._ready:
            return None
        piece = self._ready.popleft()
        self._room.set()
        return piece

    def leave(self) -> None:
        """No more pieces are wanted."""
        self._ended = True
        self._room.set()

    def on_end(self, _work: asyncio.Task[None]) -> None:
        """`run` has ended, one way or another."""
        self._over = True
        self._news.set()

    # --- the work --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read until the end, in turns. Raises ImapError."""
        while not self._ended:
            if len(self._ready) > _ENOUGH:
                self._room.clear()
                await self._room.wait()
                continue
            try:
                await self._turn()
            except ConnectionLost:
                if self._lost_at == self._came:
                    raise
                self._lost_at = self._came

    async def _turn(self) -> None:
        """Read on, from any mailbox that has the message."""
        refusal: CommandRefused | None = None
        for known in (True, False):
            data = self._account.data if known else await self._account.recheck()
            for number, uid in data.emails.placements(self._extent.row):
                for again in (False, True):
                    try:
                        if await self._read_in(number, uid, again=again):
                            return
                    except CommandRefused as error:
                        refusal = error
        raise refusal or MessageGone("the message went away while it was read")

    async def _read_in(self, number: int, uid: int, *, again: bool) -> bool:
        """Read on in one mailbox, selected anew if `again`; False when the message is not there."""
        data, pool = self._account.data, self._account.pool
        mailbox = data.by_number().get(number)
        if mailbox is None or mailbox.wire is None:
            return False
        uidvalidity = data.index.mailbox(number).uidvalidity
        try:
            async with pool.connection(mailbox.wire, deadline=DEADLINE) as connection:
                # What was selected a while ago may not show what came since.
                selected = await examine(connection, mailbox.wire) if again else connection.selected
                if selected is None or selected.uidvalidity != uidvalidity:
                    return False
                return await self._read_on(connection, uid, again=again)
        except MailboxUnavailable:
            return False

    async def _read_on(self, connection: Connection, uid: int, *, again: bool) -> bool:
        self._under_way.clear()
        is_there = True
        # Yandex tells no value of an empty part, and other servers none of a message just gone.
        asked = self._commands(uid, untold=b"" if again and not self._came else None)
        async for octets in connection.stream(asked, window=_PIPELINED):
            start, wanted = self._under_way.popleft()
            if octets is None:
                is_there = False
            elif is_there and start == self._came:
                self._take(octets, wanted)
            if self._came != start + wanted:
                asked.close()  # what else is under way is not what follows
        return is_there

    def _commands(self, uid: int, untold: bytes | None) -> Generator[FetchWindow, None, None]:
        """Windows from where we are, as long as there is room for what they bring."""
        extent = self._extent
        place = extent.place
        start = self._came
        clock = asyncio.get_running_loop().time
        end = clock() + _TURN_SECONDS
        while not self._ended and len(self._ready) + len(self._under_way) < _WINDOW:
            octets = self._window(start)
            if not octets or clock() > end:
                break
            window = place.start + start, octets
            section = items.section(place.name, place.part, place.fields, window)
            self._under_way.append((start, octets))
            yield FetchWindow(uid, section, *window, untold=untold)
            start += octets

    def _window(self, start: int) -> int:
        """Octets to ask for from `start` on, 0 for none.

        One more than there should be, so that their number tells that it is the end.
        """
        extent = self._extent
        if extent.stop is not None:
            return min(PIECE, extent.stop - start)
        if start <= extent.size:
            return min(PIECE, extent.size + 1 - start)
        return 0 if self._under_way else PIECE

    def _take(self, octets: bytes, wanted: int) -> None:
        self._came += len(octets)
        extent = self._extent
        # Servers may give less than is there, but not nothing.
        is_last = len(octets) < wanted and self._came >= extent.size
        if is_last or not octets or self._came == extent.stop:
            self._ended = True
        if octets:
            self._ready.append(octets)
            self._news.set()
