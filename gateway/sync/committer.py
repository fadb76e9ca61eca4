"""Design §6, §7: what a check found becomes part of the account, once the store has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.obs.log import get_logger
from gateway.sync import commit
from gateway.sync.checker import Checker
from gateway.sync.data import AccountData
from gateway.sync.errors import NotCommitted
from gateway.sync.ledger import Ledger, Superseded
from gateway.sync.listeners import Listeners

log = get_logger(__name__)


class Committer:
    """Commits of one account, one at a time.

    on_listed is called when mailboxes came, went, or have changed; on_superseded when another node
    has gone on with another lineage of the account. is_superseded: that has happened.
    """

    def __init__(
        self,
        data: AccountData,
        checker: Checker,
        ledger: Ledger,
        listeners: Listeners,
        on_listed: Callable[[], None],
        on_superseded: Callable[[], None],
    ) -> None:
        self.is_superseded = False
        self._data = data
        self._checker = checker
        self._ledger = ledger
        self._listeners = listeners
        self._on_listed = on_listed
        self._on_superseded = on_superseded

    async def commit(self) -> bool:
        """Make what was found part of the account; False if another node was faster.

        Raises NotCommitted.
        """
        data, staged = self._data, self._checker.staged
        made = commit.record_of(data, staged)
        if made or data.complete != data.is_indexed:
            with self._leaving():
                if not await self._ledger.commit(data, made):
                    self._begin_anew()
                    return False
                if data.is_indexed:
                    # Before anybody is told what came of indexing it.
                    await self._ledger.begin(data)
            self._listeners.tell()
            if made.listed or made.removed:
                self._on_listed()
        commit.settle(data, staged)
        self._checker.settle()
        return True

    async def catch_up(self) -> None:
        """Take in what other nodes have committed. Raises NotCommitted."""
        with self._leaving():
            if await self._ledger.catch_up(self._data):
                self._begin_anew()

    async def save(self) -> None:
        """Make a checkpoint. Raises StoreError, NotCommitted."""
        with self._leaving():
            await self._ledger.save(self._data)

    def close(self) -> None:
        """Tell nobody any more, and know nobody."""
        self._on_listed = self._on_superseded = _nobody

    def _begin_anew(self) -> None:
        self._checker.begin_anew()
        self._listeners.tell()

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        """If the account turns out to be superseded, have it replaced. Raises NotCommitted then."""
        try:
            yield
        except Superseded as reason:
            log.info("account_superseded", reason=str(reason))
            self.is_superseded = True
            self._on_superseded()
            raise NotCommitted("another node goes on with the account") from reason


def _nobody() -> None:
    """Who is told of what an account is that is not in memory any more."""
