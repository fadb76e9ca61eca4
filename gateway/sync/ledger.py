"""Design §6, §7: an account's commits in the store, where every node that serves it finds them.

The store holds a checkpoint (index and journal as of one commit), a record of each commit after
it, and the head: epoch, sequence number and digest of the latest. A commit replaces the head that
it was made on, or fails; so the head is the token that keeps a log from being forked, and no lock
has to expire. A node that is behind applies the records it has not seen. A store that was lost or
put back to an earlier time gets a checkpoint of what a node still has; one that holds another
lineage wins, and this node's is left.

Records speak of Emails by row. A node that loads an account may find that most rows are of no use
and number the others anew (see `compaction`): with a checkpoint, and a head that names the new
numbering. Nodes that have another one load the account, too, and all states stay good.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgpack

from gateway.obs.log import get_logger
from gateway.store.base import Store, StoreError
from gateway.sync import archive, commit, compaction, record, shelf, snapshot
from gateway.sync.arrays import Rows
from gateway.sync.data import AccountData
from gateway.sync.errors import NotCommitted
from gateway.sync.journal import Journal, Mark, chained
from gateway.sync.record import Record
from gateway.sync.shelf import Shelf

HEAD: Final = "head"
INDEX: Final = "index"
JOURNAL: Final = "journal"
KEPT_RECORDS: Final = 64
"""Records from before the last checkpoint that are kept, for nodes that are a little behind."""
CHECKPOINT_RECORDS: Final = 256
"""Records after which a checkpoint is due: what a node that loads the account has to apply."""
DEADLINE: Final = 1.0
"""Seconds after which a store that does not answer counts as failing."""
GRACE_SECONDS: Final = 30.0
"""For so long a store may fail before an account goes on without it."""
EPOCH_OCTETS: Final = 6

log = get_logger(__name__)


class Superseded(Exception):
    """The store holds another lineage of the account, or one with other numbers for rows."""


@dataclass(frozen=True, slots=True)
class _Head:
    """What the store says of an account: the latest commit, and the one of the checkpoint.

    numbering: that of the rows in both (AccountData.numbering).
    """

    epoch: str
    mark: Mark
    checkpoint: int
    numbering: str

    @classmethod
    def of(cls, data: AccountData, mark: Mark, checkpoint: int) -> _Head:
        """That of an account with a commit."""
        return cls(data.journal.epoch, mark, checkpoint, data.numbering)

    def is_of(self, data: AccountData) -> bool:
        """Whether it names the latest commit of the account, as it is here."""
        return self == self.of(data, data.journal.head, self.checkpoint)

    def dump(self) -> bytes:
        octets: bytes = msgpack.packb([self.epoch, *self.mark, self.checkpoint, self.numbering])
        return octets

    @classmethod
    def load(cls, octets: bytes | None) -> _Head | None:
        """Inverse of dump(), None for what it did not give."""
        try:
            epoch, sequence, digest, checkpoint, numbering = msgpack.unpackb(octets or b"")
        except (ValueError, TypeError, msgpack.exceptions.UnpackException):
            return None
        return cls(epoch, Mark(sequence, digest), checkpoint, numbering)


class _Outage:
    """Whether the store fails at something, and for how long."""

    def __init__(self) -> None:
        self._since: float | None = None

    def goes_well(self) -> None:
        """It has just succeeded."""
        self._since = None

    def is_long(self) -> bool:
        """It has just failed: whether it has done so ever since GRACE_SECONDS ago, or longer."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        return now - self._since >= GRACE_SECONDS


def new_epoch() -> str:
    """A name for a lineage that no other has."""
    return secrets.token_urlsafe(EPOCH_OCTETS)


def _key(sequence: int) -> str:
    return f"log.{sequence}"


class Ledger:
    """The store, for the commits of one account.

    What it does to the account's data it does between two steps of the event loop. All but
    is_current() is for one caller at a time.
    """

    def __init__(self, store: Store, account_id: str) -> None:
        self._store = store
        self._account = account_id
        self._held: bytes | None = None  # the head in the store, as far as is known
        self._checkpoint = 0
        self._is_begun = False
        self._is_behind = False  # the store has lost commits that were made here
        self._reading, self._writing = _Outage(), _Outage()

    def is_due(self, data: AccountData) -> bool:
        """Whether it is time for a checkpoint."""
        since = data.journal.head.sequence - self._checkpoint
        return self._is_begun and since >= CHECKPOINT_RECORDS

    # --- loading ---------------------------------------------------------------------------------

    async def load(self) -> AccountData | None:
        """The account as of its latest commit; None when there is nothing that can be used.

        Rows that are of no use are taken out of it, if there are many. Raises StoreError.
        """
        data = await self._load()
        if data is None:
            return None
        data.truncate_journal(int(time.time()))
        rows = compaction.needed(data)
        if not compaction.is_worth_it(data, rows) or await self._compact(data, rows):
            return data
        return await self._load()

    async def _load(self) -> AccountData | None:
        self._is_begun = False
        found = await self._store.load_many(self._account, (HEAD, INDEX, JOURNAL))
        self._held = found.get(HEAD)
        head = _Head.load(self._held)
        if head is None or INDEX not in found or JOURNAL not in found:
            return None
        try:
            journal = await asyncio.to_thread(archive.load, found[JOURNAL])
            data = await asyncio.to_thread(snapshot.load, found[INDEX], journal)
            await self._roll(data, head)
        except Superseded as reason:
            log.info("saved_account_unusable", reason=str(reason))
            return None
        except (archive.NotAnArchive, snapshot.NotASnapshot) as reason:
            # What belongs to an index that can not be read will never be asked for again.
            log.info("saved_account_unusable", reason=str(reason))
            await self._store.delete_account(self._account)
            self._held = None
            return None
        self._is_begun, self._checkpoint = True, head.checkpoint
        return data

    async def _roll(self, data: AccountData, head: _Head) -> None:
        """Apply the commits up to the head. Raises Superseded when they do not lead there."""
        journal = data.journal
        if head.epoch != journal.epoch or head.mark.sequence < journal.head.sequence:
            raise Superseded("another lineage")
        if head.numbering != data.numbering:
            raise Superseded("rows have other numbers")
        wanted = range(journal.head.sequence + 1, head.mark.sequence + 1)
        found = await self._store.load_many(self._account, [_key(n) for n in wanted])
        digest, records = journal.head.digest, []
        for sequence in wanted:
            octets = found.get(_key(sequence), b"")
            digest = chained(digest, octets)
            records.append(octets)
        if digest != head.mark.digest:
            raise Superseded("the log is not whole")
        try:
            made = [record.load(octets) for octets in records]
        except record.NotARecord as error:
            raise Superseded("a record of another version") from error
        if made:
            data.discard_uncommitted()
        for each in made:
            commit.apply(data, each)

    async def _compact(self, data: AccountData, rows: Rows) -> bool:
        """Let only `rows` stay, here and in the store; False when the store has it otherwise.

        Then the data is of no use.
        """
        before, strings = data.emails.size, Shelf(self._store, self._account)
        outdated = shelf.keys(data)
        try:
            await strings.fill_all(data)
            await asyncio.to_thread(compaction.compact, data, rows)
            # First what a node that loads the account could not read anew, if the mail is gone.
            await strings.save(data)
            done = await self._save(data, outdated - shelf.keys(data))
        except StoreError as error:
            log.warning("save_failed", reason=error.reason)
            return False
        log.info("account_compacted", before=before, after=len(rows), done=done)
        return done

    # --- following -------------------------------------------------------------------------------

    async def is_current(self, data: AccountData) -> bool:
        """Whether the store holds nothing newer than the account's data. Raises NotCommitted."""
        return not self._is_begun or await self._head(data) == self._held

    async def catch_up(self, data: AccountData) -> bool:
        """Apply what other nodes have committed, or give the store what it lost.

        True when there was something to apply. Raises Superseded, NotCommitted.
        """
        if not self._is_begun:
            await self._check_alone()
            return False
        held = await self._head(data)
        if held == self._held and not self._is_behind:
            return False
        try:
            return await self._reconcile(data, held)
        except StoreError as error:
            raise NotCommitted(error.reason) from error

    async def _check_alone(self) -> None:
        """Raises Superseded when another node has indexed an account that is not saved yet."""
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(DEADLINE):
                if await self._store.load(self._account, HEAD) == self._held:
                    return
            raise Superseded("another node has indexed the account")

    async def _head(self, data: AccountData) -> bytes | None:
        """The head in the store. Raises NotCommitted."""
        try:
            async with asyncio.timeout(DEADLINE):
                held = await self._store.load(self._account, HEAD)
            self._reading.goes_well()
        except (StoreError, TimeoutError) as error:
            self._go_on_alone(data, self._reading, error)
            return self._held
        return held

    async def _reconcile(self, data: AccountData, held: bytes | None) -> bool:
        head = _Head.load(held)
        journal = data.journal
        if head is not None and head.is_of(data):
            self._held, self._is_behind = held, False
            return False
        if head is None or (head.mark != journal.head and journal.has(head.epoch, head.mark)):
            # Nothing, or an earlier commit of ours: the store was lost, or put back.
            self._held, self._is_behind = held, True
            await self._save(data)
            return False
        await self._roll(data, head)
        self._held, self._checkpoint = held, head.checkpoint
        return True

    def _go_on_alone(self, data: AccountData, outage: _Outage, error: Exception) -> None:
        """Leave the store alone, with a lineage that nobody knows, if it has failed for long.

        Raises NotCommitted when it has not.
        """
        reason = str(error) or type(error).__name__
        if not outage.is_long():
            raise NotCommitted(reason) from error
        log.warning("account_goes_on_without_store", reason=reason)
        data.journal = Journal(new_epoch())
        self._is_begun = False

    # --- committing ------------------------------------------------------------------------------

    async def commit(self, data: AccountData, made: Record) -> bool:
        """Make a record part of the account; False when it was made on what is no longer the last.

        Then nothing of it is done, and what was committed elsewhere may have been applied. Raises
        Superseded; NotCommitted when the store fails. When it does so for long, the account goes on
        by itself, in a lineage of its own: its clients have to read it anew.
        """
        if self._is_begun:
            octets = record.dump(made)
            previous = data.journal.head
            mark = Mark(previous.sequence + 1, chained(previous.digest, octets))
            head = _Head.of(data, mark, self._checkpoint).dump()
            try:
                async with asyncio.timeout(DEADLINE):
                    done = await self._append(data, {HEAD: head, _key(mark.sequence): octets})
                self._writing.goes_well()
            except (StoreError, TimeoutError) as error:
                self._go_on_alone(data, self._writing, error)
            else:
                if not done:
                    await self.catch_up(data)
                    return False
                self._held = head
        commit.apply(data, made)
        return True

    async def _append(self, data: AccountData, entries: dict[str, bytes | None]) -> bool:
        if self._is_behind and not await self._save(data):
            return False
        return await self._replace(entries)

    async def _replace(self, entries: dict[str, bytes | None]) -> bool:
        return await self._store.replace(self._account, HEAD, self._held, entries)

    async def begin(self, data: AccountData) -> None:
        """Save an account that was just indexed, if the store can be had. Raises Superseded."""
        if not self._is_begun:
            try:
                async with asyncio.timeout(DEADLINE):
                    await self.save(data)
            except (StoreError, TimeoutError) as error:
                log.warning("save_failed", reason=str(error) or type(error).__name__)

    async def save(self, data: AccountData) -> None:
        """Make a checkpoint, unless another node has committed meanwhile.

        Raises StoreError; Superseded when another node has indexed the account, too.
        """
        saved = await self._save(data)
        if not saved and not self._is_begun:
            raise Superseded("another node has indexed the account, too")
        self._is_begun = True

    async def _save(self, data: AccountData, outdated: Iterable[str] = ()) -> bool:
        """Make a checkpoint, and delete what is outdated by it; False if there is another head."""
        data.truncate_journal(int(time.time()))
        mark = data.journal.head
        index, journal = snapshot.capture(data), archive.capture(data.journal)
        head = _Head.of(data, mark, mark.sequence).dump()
        entries: dict[str, bytes | None] = {
            HEAD: head,
            INDEX: await asyncio.to_thread(snapshot.dump, index),
            JOURNAL: await asyncio.to_thread(archive.dump, journal),
            **dict.fromkeys(map(_key, self._outdated(mark.sequence))),
            **dict.fromkeys(outdated),
        }
        if not await self._replace(entries):
            return False
        self._held, self._checkpoint, self._is_behind = head, mark.sequence, False
        return True

    def _outdated(self, sequence: int) -> Iterable[int]:
        """Records that need not be kept once there is a checkpoint of `sequence`."""
        first = max(1, self._checkpoint - KEPT_RECORDS - 1)
        return range(first, sequence - KEPT_RECORDS + 1)
