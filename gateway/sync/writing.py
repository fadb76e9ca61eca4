r"""Design §9: changing what is on the server, so that it is done once, and the truth is told.

Whoever writes holds the account: it is complete and up to date then, and nobody else of this
process writes to it. What is to be so is turned into commands, and after these the account is read
again, so that a client reads its own writes at once. When a connection is lost, that shows as well
what has been done, and what is not so yet is done again. An Email of which something was refused
is put back to what it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from gateway.imap.errors import AuthenticationFailed, CommandRefused, ImapError, ServerBusy
from gateway.sync.account import Account
from gateway.sync.appending import Letter, append
from gateway.sync.data import AccountData
from gateway.sync.failures import Failure, FailureKind, Unknown, of_refusal
from gateway.sync.placements import Placed
from gateway.sync.removals import Removals
from gateway.sync.write_plan import Before, Order, Step, plan
from gateway.sync.write_round import Round, fail

WAIT_SECONDS = 60.0
"""For so long a writer waits for others to be done."""
_ROUNDS = 3
# What has been done can not be told before the account is read again; so much later it is tried
# once more.
_PAUSES = (0.2, 1.0)


@asynccontextmanager
async def writing(account: Account, *, recheck: bool = False) -> AsyncIterator[Writing]:
    """Hold the account for writing.

    recheck: the server is asked what has changed, however short ago it was asked. Raises ImapError;
    ServerBusy when others write for too long; NotCommitted.
    """
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await account.write_lock.acquire()
    except TimeoutError:
        raise ServerBusy(None, f"other changes take more than {WAIT_SECONDS:g} s") from None
    try:
        await account.indexed()
        await (account.recheck() if recheck else account.fresh())
        yield Writing(account)
    finally:
        account.write_lock.release()


class Writing:
    """An account that is held for writing."""

    def __init__(self, account: Account) -> None:
        self.account = account

    @property
    def data(self) -> AccountData:
        """What the account is, as of the last look."""
        return self.account.data

    async def refresh(self, mailboxes: Mapping[str, Placed | None] | None = None) -> None:
        """Read what has changed on the server, or in these mailboxes; see Account.reread.

        Raises Unknown, NotCommitted, and AuthenticationFailed.
        """
        for pause in (*_PAUSES, None):
            try:
                await self._reread(mailboxes)
                return
            except AuthenticationFailed:
                raise
            except ImapError as error:
                if pause is None:
                    raise Unknown(str(error)) from error
                await asyncio.sleep(pause)
                mailboxes = None

    async def _reread(self, mailboxes: Mapping[str, Placed | None] | None) -> None:
        if mailboxes is None:
            await self.account.recheck()
        else:
            await self.account.reread(mailboxes)

    # --- Emails that there are -------------------------------------------------------------------

    async def change(
        self, orders: Mapping[int, Order], *, guarded: bool = False
    ) -> dict[int, Failure | None]:
        """Do what is ordered of Emails, by row; why not, of each of which it was not done.

        guarded: not of those that another client has changed since they were read, as far as the
        server can tell (RFC 7162 §3.1.3). Raises Unknown, NotCommitted, and AuthenticationFailed.
        """
        before = Before(self.data, orders)
        failures: dict[int, Failure] = {}
        removals = Removals()
        lost: ImapError | None = None
        # What another client has moved is to be destroyed there, too.
        looks_everywhere = any(order.destroy for order in orders.values())
        for _ in range(_ROUNDS):
            taken = Round(self.account, failures, removals, guarded=guarded)
            lost = await taken.run(self._left(orders, failures, removals))
            everywhere = looks_everywhere or lost is not None
            await self.refresh(None if everywhere else taken.touched)
            if not self._left(orders, failures, removals) and not self._gone(orders):
                break
            if not everywhere:
                await self.refresh()
        for step in self._left(orders, failures, removals):
            fail(failures, step, _failure(lost))
        await self._run_back(removals.undone(self.data, failures))
        for row in self._gone(orders, destroyed=True):
            failures.pop(row, None)  # whoever has done it
        inverses = {row: before.inverse(row) for row in failures.keys() & orders.keys()}
        await self._run_back(self._left(inverses, {}, Removals()))
        for row in self._gone(orders):
            failures.setdefault(row, Failure(FailureKind.NOT_FOUND))
        return {row: failures.get(row) for row in orders}

    def _gone(self, orders: Mapping[int, Order], *, destroyed: bool = False) -> list[int]:
        """The Emails that are no more, of those that were to be destroyed or of the others."""
        visible = self.data.emails.visible()
        return [
            row for row, order in orders.items() if not visible[row] and order.destroy == destroyed
        ]

    def _left(
        self, orders: Mapping[int, Order], failures: dict[int, Failure], removals: Removals
    ) -> list[Step]:
        """What is not done yet of that which can be; failures get what can not."""
        known, held = self.data.numbers.keys(), self.data.held()
        for row, order in orders.items():
            if row in failures:
                continue
            if not order.add_mailboxes <= known:
                failures[row] = Failure(FailureKind.NO_MAILBOX)
            elif held and not held.isdisjoint(self._mailboxes(row, order)):
                failures[row] = Failure(FailureKind.UNAVAILABLE, "a mailbox is left alone")
        planned = plan(self.data, {row: o for row, o in orders.items() if row not in failures})
        return planned + removals.left(self.data, failures)

    def _mailboxes(self, row: int, order: Order) -> set[int]:
        """The numbers of the mailboxes in which something of an order is done."""
        there = {number for number, _ in self.data.emails.placements(row)}
        return there | {self.data.numbers[id_] for id_ in order.add_mailboxes}

    async def _run_back(self, steps: Sequence[Step]) -> None:
        """RFC 8620 §5.3: an update is done as a whole, or not at all."""
        if steps:
            await Round(self.account, {}, Removals()).run(steps)
            await self.refresh()

    # --- Emails that are new ---------------------------------------------------------------------

    async def append(self, letters: Sequence[Letter]) -> list[int | Failure]:
        """Add messages; the rows of the Emails they are now, or why one was not added.

        Raises Unknown, NotCommitted, and AuthenticationFailed.
        """
        added = await append(self.account, letters, self.refresh)
        further = {
            row: Order(add_mailboxes=letter.mailbox_ids)
            for letter, row in zip(letters, added, strict=True)
            if isinstance(row, int) and len(letter.mailbox_ids) > 1
        }
        failures = await self.change(further) if further else {}
        half = {row: Order(destroy=True) for row, failure in failures.items() if failure}
        if half:
            await self.change(half)
        return [failures.get(row) or row if isinstance(row, int) else row for row in added]


def _failure(lost: ImapError | None) -> Failure:
    """Why something is not done after all rounds, the last of which ended with that error."""
    if isinstance(lost, CommandRefused):
        return of_refusal(lost)
    if lost is not None:
        return Failure(FailureKind.UNAVAILABLE, str(lost))
    return Failure(FailureKind.REFUSED)
