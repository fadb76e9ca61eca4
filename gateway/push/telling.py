"""RFC 8620 §7: what a client is told of its user's accounts, one StateChange after another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Set
from typing import Any, Protocol

from gateway.imap.errors import ImapError
from gateway.push.changes import TypeState, event_id, state_change
from gateway.push.channels import Channel
from gateway.sync.errors import NotCommitted

# Changes that follow one another faster than this are told as one.
_SPACING_SECONDS = 0.25
# The first answer waits so long for the mail server, should that be slow to say what there is.
_LOOK_SECONDS = 10.0


class Following(Protocol):
    """All accounts of a user, to learn of changes as they happen inside `async with`."""

    async def __aenter__(self) -> Following:
        """Begin."""
        ...

    async def __aexit__(self, *_: object) -> object:
        """End."""
        ...

    @property
    def account_id(self) -> str:
        """The user's own account."""
        ...

    async def fresh(self) -> object:
        """Return when the states are those of a moment ago at most. Raises ImapError."""
        ...

    def states(self) -> Mapping[str, TypeState]:
        """The states of all types that are pushed, by account id, as of now."""
        ...

    async def wait(self) -> bool:
        """Return when states may have changed since the last wait; False: the user has none now.

        The first wait counts from the begin.
        """
        ...


class Telling:
    """One client: `told` is the event id of what it knows; `types` None: it wants all.

    What is waited for ends with `channel`: the methods that wait raise Ended.
    """

    def __init__(self, following: Following, types: Set[str] | None, channel: Channel) -> None:
        self._following = following
        self._types = types
        self._channel = channel
        self.told = self._id()  # what there was when watching began
        self._told_at = _now()

    async def begin(self, told: str) -> dict[str, Any] | None:
        """What changed since the client was told this, or, if that is "", since the beginning.

        What happened so far is told at once, and what comes from now on as a change: an account
        that is new here would else count both as what there was from the beginning.
        """
        try:
            async with self._channel.until(_now() + _LOOK_SECONDS):
                await self._following.fresh()
        except (ImapError, NotCommitted, TimeoutError):
            pass  # the watch goes on, and finds out when the mail server or the store is back
        self.told = told or self.told
        return self.news()

    def news(self) -> dict[str, Any] | None:
        """The StateChange that the client has not been told yet, and is now; None: nothing."""
        change = state_change(self._following.states(), self._types, self.told)
        self.told = self._id()
        if change is not None:
            self._told_at = _now()
        return change

    async def space(self) -> None:
        """Return when something may be told again."""
        await self._channel.pause(self._told_at + _SPACING_SECONDS)

    def _id(self) -> str:
        return event_id(self._following.states(), self._types)


def _now() -> float:
    return asyncio.get_running_loop().time()
