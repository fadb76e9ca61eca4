"""Design §9: one round of the IMAP commands that make of Emails what was ordered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal

import numpy as np

from gateway.imap.commands.copy import Copied, copy
from gateway.imap.commands.expunge import FlagsLost, remove
from gateway.imap.commands.fetch import in_ranges
from gateway.imap.commands.move import move
from gateway.imap.commands.select import Select, is_storable
from gateway.imap.commands.store import store
from gateway.imap.connection import Connection
from gateway.imap.errors import AuthenticationFailed, CommandRefused, ImapError
from gateway.sync.account import Account
from gateway.sync.data import AccountData
from gateway.sync.errors import MailboxChanged
from gateway.sync.failures import Failure, FailureKind, of_refusal
from gateway.sync.identity import Tier
from gateway.sync.placements import Placed
from gateway.sync.removals import Removals
from gateway.sync.write_plan import Action, Step, Verb, flag_of

# Of a command that is refused for many messages, halves find those it is refused for; so many
# refusals are borne.
_REFUSALS = 32


class Round:
    """Takes the steps of a plan; `failures` gets the rows of which something was refused.

    touched: the mailboxes that are not what they were, with what has come there as far as known.
    """

    def __init__(
        self,
        account: Account,
        failures: dict[int, Failure],
        removals: Removals,
        *,
        guarded: bool = False,
    ) -> None:
        self._account = account
        self._failures = failures
        self._removals = removals
        self._guarded = guarded
        self.touched: dict[str, Placed | None] = {}
        self._refusals = _REFUSALS

    async def run(self, steps: Iterable[Step]) -> ImapError | None:
        """The error that ended it before all was done, if one did."""
        for number, of_mailbox in groupby(steps, lambda step: step.action.number):
            todo = list(of_mailbox)
            try:
                await self._run_in(number, todo)
            except CommandRefused as refused:
                failure = of_refusal(refused)
                if failure.kind is FailureKind.NO_MAILBOX:
                    return refused  # gone, or renamed: the next look tells
                for step in todo:
                    fail(self._failures, step, failure)
            except AuthenticationFailed:
                raise
            except FlagsLost as error:
                self._removals.note_unflagged(self._account.data, number, error.uids)
                return error
            except ImapError as error:
                return error
        return None

    async def _run_in(self, number: int, steps: Sequence[Step]) -> None:
        data = self._account.data
        wire = data.by_number()[number].wire
        if wire is None:
            raise MailboxChanged
        self._touch(number)
        async with self._account.pool.connection(wire, examined=False) as connection:
            await _select(connection, wire, data.index.mailbox(number).uidvalidity)
            for step in steps:
                await self._take(connection, step.without(self._failures))

    async def _take(self, connection: Connection, step: Step) -> None:
        """One step, in halves where it is refused for some of the messages."""
        if not step.rows:
            return
        if failure := _foreseen(connection, step.action):
            fail(self._failures, step, failure)
            return
        try:
            await self._carry_out(connection, step)
        except CommandRefused as refused:
            failure = of_refusal(refused)
            if failure.kind is FailureKind.NO_MAILBOX:
                raise
            done = refused.partial.uids if isinstance(refused.partial, Copied) else None
            rest = {u: r for u, r in step.rows.items() if u not in (done or {})}
            if len(rest) == 1 or failure.kind in _OF_ALL or not self._refusals:
                fail(self._failures, Step(step.action, rest), failure)
                return
            self._refusals -= 1
            uids = sorted(rest)
            for half in (uids[: len(uids) // 2], uids[len(uids) // 2 :]):
                await self._take(connection, Step(step.action, {u: rest[u] for u in half}))

    async def _carry_out(self, connection: Connection, step: Step) -> None:
        action, uids, data = step.action, sorted(step.rows), self._account.data
        match action.verb:
            case Verb.STORE:
                await self._store(connection, step)
            case Verb.COPY:
                self._touch(action.target)
                self._note(step, await copy(connection, uids, _wire(data, action.target)))
            case Verb.MOVE:
                self._touch(action.target)
                self._removals.note(data, step)
                self._note(step, await move(connection, uids, _wire(data, action.target)))
            case Verb.REMOVE:
                self._removals.note(data, step)
                await remove(connection, uids)

    def _touch(self, number: int) -> None:
        self.touched.setdefault(self._account.data.by_number()[number].id, None)

    def _note(self, step: Step, copied: Copied) -> None:
        """Remember what the server says of copies: they are the Emails that were copied."""
        data, action = self._account.data, step.action
        target = data.index.mailbox(action.target)
        if not copied.uids or copied.uidvalidity != target.uidvalidity:
            return
        if data.tier is Tier.FINGERPRINT:  # a copy may have another date, and be another Email
            return
        pairs = sorted((copy, step.rows[uid]) for uid, copy in copied.uids.items())
        rows = np.array([row for _, row in pairs], np.int32)
        placed = Placed(
            np.array([copy for copy, _ in pairs], np.uint32),
            rows,
            data.emails.bits[rows],
            np.zeros(len(rows), np.uint64),
        )
        id_ = data.by_number()[action.target].id
        held = self.touched[id_]
        self.touched[id_] = placed if held is None else held.and_those(placed)

    async def _store(self, connection: Connection, step: Step) -> None:
        """RFC 7162 §3.1.3: with a guard, what has changed meanwhile is left as it is."""
        action, rows = step.action, step.rows
        since = self._account.data.index.mailbox(action.number).highestmodseq
        guard = since if self._guarded and connection.has_modseqs else None
        for what, keywords in _stores(action):
            flags = sorted(map(flag_of, keywords))
            stored = await store(connection, sorted(rows), what, flags, guard)
            changed = {u: r for u, r in rows.items() if in_ranges(stored.modified, u)}
            fail(self._failures, Step(action, changed), Failure(FailureKind.CHANGED))
            rows = {u: r for u, r in rows.items() if u not in changed}
            guard = None  # what the first command has done is no change by others


def fail(failures: dict[int, Failure], step: Step, failure: Failure) -> None:
    """Note why a step is not taken, for each Email of it that has not failed before."""
    for row in step.rows.values():
        failures.setdefault(row, failure)


# What holds for all messages of a mailbox.
_OF_ALL = frozenset(
    {
        FailureKind.FORBIDDEN,
        FailureKind.NO_MAILBOX,
        FailureKind.KEYWORDS,
        FailureKind.UNAVAILABLE,
    }
)


async def _select(connection: Connection, wire: bytes, uidvalidity: int) -> None:
    """Open a mailbox for writing, unless it is. Raises MailboxChanged, CommandRefused."""
    selected = connection.selected
    if selected is None or selected.mailbox != wire or selected.read_only:
        selected = await connection.run(Select(wire))
    if selected.uidvalidity != uidvalidity:
        raise MailboxChanged


def _foreseen(connection: Connection, action: Action) -> Failure | None:
    """What the server has said will not be, and would not say again in so many words."""
    selected = connection.selected
    if selected is None:
        return None
    if selected.read_only and action.verb is not Verb.COPY:
        return Failure(FailureKind.FORBIDDEN, "the mailbox is read-only")
    if not all(is_storable(selected, flag_of(keyword)) for keyword in action.add):
        return Failure(FailureKind.KEYWORDS)
    return None


def _stores(action: Action) -> Iterator[tuple[Literal["+FLAGS", "-FLAGS"], frozenset[str]]]:
    """What STORE is to be told of keywords."""
    if action.add:
        yield "+FLAGS", action.add
    if action.remove:
        yield "-FLAGS", action.remove


def _wire(data: AccountData, number: int) -> bytes:
    """The name of a mailbox. Raises MailboxChanged."""
    mailbox = data.by_number().get(number)
    if mailbox is None or mailbox.wire is None:
        raise MailboxChanged
    return mailbox.wire
