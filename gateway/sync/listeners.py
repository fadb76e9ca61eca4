"""RFC 8620 §7: who waits to be told that the states of an account have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Listener:
    """One who waits; to be closed, best by `with`.

    is_over: nothing will ever be told any more, the account has ended here.
    """

    def __init__(self, listeners: Listeners, on_news: Callable[[], None] | None) -> None:
        self.is_over = False
        self._listeners = listeners
        self._on_news = on_news
        self._news = asyncio.Event()

    async def wait(self) -> bool:
        """Return when the states may be others than when this was called last; False: is_over."""
        await self._news.wait()
        self._news.clear()
        return not self.is_over

    def tell(self, *, is_over: bool = False) -> None:
        """Let wait() return."""
        self.is_over |= is_over
        self._news.set()
        if self._on_news is not None:
            self._on_news()

    def close(self) -> None:
        """Listen no longer."""
        self._listeners.leave(self)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Listeners:
    """All who listen to one account."""

    def __init__(self) -> None:
        self._all: set[Listener] = set()
        self.present = asyncio.Event()
        """Set while there are any."""
        self._is_over = False

    def __len__(self) -> int:
        return len(self._all)

    def join(self, on_news: Callable[[], None] | None = None) -> Listener:
        """One more; `on_news` is called when there are any, for who listens to several accounts."""
        listener = Listener(self, on_news)
        self._all.add(listener)
        self.present.set()
        if self._is_over:
            listener.tell(is_over=True)
        return listener

    def leave(self, listener: Listener) -> None:
        """One less; of no effect when it has left."""
        self._all.discard(listener)
        if not self._all:
            self.present.clear()

    def tell(self) -> None:
        """The states may have changed."""
        for listener in [*self._all]:
            listener.tell()

    def end(self) -> None:
        """The account ends."""
        self._is_over = True
        for listener in [*self._all]:
            listener.tell(is_over=True)
