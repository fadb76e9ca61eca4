"""RFC 8620 §7.3, §8.5: the connections that wait for changes; each user has so many at most."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from types import TracebackType


class Ended(Exception):
    """The channel is to end; `displaced` if that is to make room for a newer one of the user."""

    def __init__(self, *, displaced: bool) -> None:
        super().__init__("displaced" if displaced else "shutting down")
        self.displaced = displaced


class Channel:
    """One connection: what it waits for has a deadline, and ends with the channel."""

    __slots__ = ("_displaced", "_waiting")

    def __init__(self) -> None:
        self._displaced: bool | None = None  # None: it is not to end
        self._waiting: asyncio.Timeout | None = None

    def until(self, moment: float | None) -> AbstractAsyncContextManager[None]:
        """Wait for something in the block, until this moment of the loop's clock (None: for ever).

        Raises TimeoutError, or Ended once the channel is to end. One block at a time.
        """
        return _Until(self, moment)

    async def pause(self, moment: float) -> None:
        """Wait until this moment of the loop's clock. Raises Ended."""
        try:
            async with self.until(moment):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            pass

    def end(self, *, displaced: bool = False) -> None:
        """Have the block that runs, or else the next one, raise Ended."""
        if self._displaced is None:
            self._displaced = displaced
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time())

    def enter(self, waiting: asyncio.Timeout) -> None:
        """A block begins. Raises Ended."""
        self.check()
        self._waiting = waiting

    def leave(self) -> None:
        """It is over."""
        self._waiting = None

    def check(self) -> None:
        """Raises Ended."""
        if self._displaced is not None:
            raise Ended(displaced=self._displaced)


class _Until(AbstractAsyncContextManager[None]):
    """See Channel.until(). A generator would take twice the memory, for each idle connection."""

    __slots__ = ("_channel", "_timeout")

    def __init__(self, channel: Channel, moment: float | None) -> None:
        self._channel = channel
        self._timeout = asyncio.timeout_at(moment)

    async def __aenter__(self) -> None:
        self._channel.enter(self._timeout)
        await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._channel.leave()
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            self._channel.check()
            raise


class Channels:
    """The channels that are open, `most` of them for each user.

    Where a user opens more the oldest ends: it is the likeliest to be a forgotten one, and while
    browsers connect again after an end, they never do after a refusal.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[Hashable, list[Channel]] = {}
        self._closed = False

    @contextmanager
    def open(self, user: Hashable) -> Iterator[Channel]:
        """A channel that is open inside the block."""
        channel = Channel()
        own = self._open.setdefault(user, [])
        own.append(channel)
        if self._closed:
            channel.end()
        for oldest in own[: -self._most]:
            oldest.end(displaced=True)
        try:
            yield channel
        finally:
            own.remove(channel)
            if not own:
                del self._open[user]

    def close(self) -> None:
        """End all channels, and those to come as soon as they are opened."""
        self._closed = True
        for own in self._open.values():
            for channel in own:
                channel.end()
