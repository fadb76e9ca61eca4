"""Freshness (RFC 8620 §1.6.2): what moved on the server since the last look, and reading it.

One LIST-STATUS shows every mailbox's counters; only mailboxes whose counters differ from what
the index agrees with are selected and synchronised. One that makes trouble does not keep the
others from being looked at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from gateway.imap.commands.examine import Examine, leave
from gateway.imap.commands.list import EVERY, Listed, list_mailboxes, lists_status
from gateway.imap.commands.namespace import Namespaces, namespaces
from gateway.imap.commands.rights import MyRights, my_rights
from gateway.imap.commands.status import Status
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused, ConnectionLost, MailboxUnavailable
from gateway.imap.quirks import LATE_MODSEQ, NO_NAMESPACE
from gateway.imap.wire import modutf7
from gateway.obs.log import get_logger
from gateway.sync.commit import Draft, Staged
from gateway.sync.data import AccountData
from gateway.sync.errors import Outdated, Withdrawn
from gateway.sync.extent import OWN, Extent, Kind
from gateway.sync.keywords import SEEN, select
from gateway.sync.listed_names import has_lost
from gateway.sync.mailboxes import Mailbox, tree
from gateway.sync.paths import Layout
from gateway.sync.placements import MailboxColumns, Placed
from gateway.sync.synchronise import synchronise

# A server without mod-sequences tells nothing of flags: they are compared this often.
PLAIN_FLAGS_SECONDS = 30.0
# For so long after a change, a server with late mod-sequences is asked again what came before it.
LATE_SECONDS = 10.0

# What was saved of the namespaces is asked again after that: the first answers do not wait for it.
NAMESPACES_SECONDS = 10.0
# RFC 4314: that rights have changed is told by nothing, so they are asked again after that.
RIGHTS_SECONDS = 60.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Late:
    """What a mailbox is asked again: changes since a mod-sequence, until a time."""

    since: int
    until: float


class Places:
    """RFC 2342: the namespaces of a user, asked for once and known to all accounts of the login.

    own: the data of the user's own account, which they are saved with.
    """

    def __init__(self, own: AccountData) -> None:
        self._own = own
        self._until = time.monotonic() + NAMESPACES_SECONDS

    @property
    def known(self) -> Namespaces | None:
        """As far as is known, without asking."""
        return self._own.namespaces

    async def get(self, connection: Connection) -> Namespaces:
        """As they were saved at first, and then as they are. Raises ImapError."""
        known = self._own.namespaces
        if known is None or time.monotonic() > self._until:
            known = self._own.namespaces = await _namespaces(connection)
            self._until = float("inf")
        return known


class Checker:
    """Finds out what moved on the server of one account; one check at a time.

    What was found is in `staged`, to be committed and then settled, also after an error.
    """

    def __init__(self, data: AccountData, places: Places, extent: Extent = OWN) -> None:
        """Check the mailboxes of that extent; `places` are those of the login."""
        self._data = data
        self._places = places
        self._extent = extent
        self._has_others = False  # that is, mailboxes that are listed and not the user's own
        self._patterns: tuple[str, ...] = EVERY if extent == OWN else extent.patterns
        self.seconds = 0.0  # how long the last look at the counters took
        self.staged = Staged()
        self._unfinished: dict[str, Draft] = {}
        self._listed: tuple[object, ...] = ()
        self._listed_at = float("-inf")
        self._rights: dict[bytes, str] = {}
        self._rights_until = 0.0
        self._flags_compared: dict[str, float] = {}
        self._late: dict[str, _Late] = {}

    async def check(self, connection: Connection) -> bool:
        """True when all is up to date; False when a mailbox went away meanwhile.

        Raises ImapError.
        """
        started = time.monotonic()
        mailboxes = await self._list(connection)
        self.seconds = time.monotonic() - started
        settled = True
        for id_, mailbox in mailboxes.items():
            if mailbox.wire is None:
                continue
            if mailbox.status is None:
                if id_ in self._data.numbers and await _is_gone(connection, mailbox.wire):
                    self.staged.closed.add(id_)
                continue
            draft = self._draft(id_)
            if self._data.quarantine.holds(mailbox.wire):
                columns = self._data.columns(id_)
                if columns is not None:  # as far as it goes: nothing is to wait for the rest
                    columns.complete = True
            elif self._moved(id_, mailbox.status, draft.columns):
                settled &= await self._synchronise(connection, id_, mailbox.wire, draft)
        return settled

    async def read(self, connection: Connection, mailboxes: Mapping[str, Placed | None]) -> bool:
        """Read mailboxes that are known to have changed, without a look at any other.

        mailboxes: what has come there, as far as that is known. False when something else has to be
        looked at before. Raises ImapError.
        """
        settled = True
        for id_, added in mailboxes.items():
            mailbox = self._data.mailboxes.get(id_)
            if mailbox is None or mailbox.wire is None or id_ not in self._data.numbers:
                return False
            if self._data.quarantine.holds(mailbox.wire):
                return False
            draft = self._draft(id_)
            settled &= await self._synchronise(connection, id_, mailbox.wire, draft, added)
        return settled

    def settle(self) -> None:
        """What was staged is committed, or was no use."""
        self.staged = Staged()

    def begin_anew(self) -> None:
        """The account is another one than when this was read: nothing of it is of use."""
        self.settle()
        self._unfinished.clear()

    def _draft(self, mailbox_id: str) -> Draft:
        """Where a mailbox stands: as far as it was read, else as the account has it."""
        for drafts in (self.staged.drafts, self._unfinished):
            if mailbox_id in drafts:
                return drafts[mailbox_id]
        held = self._data.columns(mailbox_id) or MailboxColumns(number=-1)
        return Draft(held.draft(), held.draft())

    async def _synchronise(
        self,
        connection: Connection,
        mailbox_id: str,
        wire: bytes,
        draft: Draft,
        added: Placed | None = None,
    ) -> bool:
        columns = draft.columns
        before = columns.highestmodseq
        late = self._late.pop(mailbox_id, None)
        self._unfinished[mailbox_id] = draft
        try:
            since = late.since if late is not None else None
            await synchronise(self._data, connection, wire, columns, since, added)
        except MailboxUnavailable:
            return False
        except CommandRefused as refused:
            log.warning("mailbox_refused", reason=str(refused))
            self._data.quarantine.refused(wire)
            return False
        self.staged.drafts[mailbox_id] = self._unfinished.pop(mailbox_id)
        self._data.quarantine.granted(wire)
        now = self._flags_compared[mailbox_id] = time.monotonic()
        if LATE_MODSEQ in connection.quirks and before is not None:
            changed = before != columns.highestmodseq
            self._look_again(mailbox_id, before if changed else None, late, now)
        return True

    def _look_again(
        self, mailbox_id: str, before: int | None, late: _Late | None, now: float
    ) -> None:
        """The changes since `before` that were told of may not have been all there were."""
        if before is not None:
            since = before if late is None else late.since
            self._late[mailbox_id] = _Late(since, now + LATE_SECONDS)
        elif late is not None and now < late.until:
            self._late[mailbox_id] = late

    async def _list(self, connection: Connection) -> dict[str, Mailbox]:
        listed, spaces = await self._true_listing(connection)
        listed = self._data.quarantine.steadied(listed)
        shape = tuple((entry.wire, entry.attributes) for entry in listed)
        now = time.monotonic()
        if shape != self._listed or (self._extent != OWN and now > self._rights_until):
            self._rights = await my_rights(connection, _selectable(listed))
            self._listed, self._rights_until = shape, now + RIGHTS_SECONDS
        known = self._data.known_mailboxes()
        levels = self._data.known_levels()
        choices = self._data.choices
        mailboxes = tree(listed, spaces, self._rights, known, self._extent, levels, choices)
        self.staged.mailboxes = mailboxes
        return mailboxes

    async def _true_listing(self, connection: Connection) -> tuple[list[Listed], Namespaces]:
        """The same as _listing(), asked for again while it is of the past, if that passes.

        Raises Outdated when it does not in this session, and may in another one.
        """
        names, opened = self._data.listed_names, connection.opened
        told = {m.wire: m.status is not None for m in self._data.mailboxes.values() if m.wire}
        for pause in (*names.pauses(opened), None):
            listing = await self._listing(connection)
            lost = has_lost(listing[0], told)
            if not lost and names.are_shown(listing[0]):
                break
            if pause is not None:
                await asyncio.sleep(pause)
            elif names.is_older(opened) or (lost and opened < self._listed_at):
                await connection.close()
                raise Outdated("LIST is of the past")
            else:
                names.forget()
        self._listed_at = time.monotonic()
        return listing

    async def _listing(self, connection: Connection) -> tuple[list[Listed], Namespaces]:
        """The mailboxes of the account, without those of others. Raises Withdrawn."""
        wanted, patterns = self._wanted(), self._patterns
        # Dovecot's STATUS of the selected mailbox is of what was selected, as it was then told:
        # a NOOP helps, but not when another mailbox has that name now.
        listed = await list_mailboxes(connection, leave(connection), patterns, wanted)
        if not listed and self._extent.kind is Kind.USER:
            # Dovecot lists nothing of a user who shared nothing yet as the session began, or an
            # hour ago, unless the session has named one of the mailboxes.
            named = MyRights(modutf7.encode(self._extent.root))
            await connection.run(named)
            listed = await list_mailboxes(connection, (), patterns, wanted)
        spaces = await self._places.get(connection)
        layout = Layout(spaces, listed)
        if self._extent == OWN:
            self._patterns = self._own_patterns(connection, layout, listed)
            if patterns != EVERY and not {*self._patterns} <= {*patterns}:
                # A mailbox at the top has got the first one below it.
                listed = await list_mailboxes(connection, (), self._patterns, wanted)
        listed = [entry for entry in listed if layout.holds(self._extent, entry)]
        if self._extent != OWN and not any(entry.selectable for entry in listed):
            raise Withdrawn(self._extent.name)
        return listed, spaces

    def _wanted(self) -> Callable[[Listed], bool]:
        """Which mailboxes the account may have, as far as that is known before they are listed."""
        known = self._places.known
        return partial(Layout(known, ()).holds, self._extent) if known else lambda _: True

    def _own_patterns(
        self, connection: Connection, layout: Layout, listed: Sequence[Listed]
    ) -> tuple[str, ...]:
        """What to list next time: all, unless that would cost a STATUS of others' mailboxes."""
        self._has_others |= any(e.selectable and not layout.holds(OWN, e) for e in listed)
        if not self._has_others or not lists_status(connection):
            return EVERY
        return layout.own_patterns(listed)

    def _moved(self, mailbox_id: str, status: Status, columns: MailboxColumns) -> bool:
        """Whether the server's counters differ from what the index agrees with."""
        if not (columns.complete or self._data.is_indexed):
            return False
        pairs = (
            (columns.uidvalidity, status.uidvalidity),
            (columns.uidnext, status.uidnext),
            (columns.highestmodseq, status.highestmodseq),
        )
        if any(known and told and known != told for known, told in pairs):
            return True
        if columns.exists != status.messages or mailbox_id in self._late:
            return True
        if columns.highestmodseq and status.highestmodseq:
            return False
        age = time.monotonic() - self._flags_compared.get(mailbox_id, float("-inf"))
        return age > PLAIN_FLAGS_SECONDS or not _may_be_unseen(columns, status.unseen)


async def _is_gone(connection: Connection, wire: bytes) -> bool:
    """Whether a mailbox is none any more of which LIST says that it could be selected.

    Dovecot does so with a Maildir that is left only for what is below it.
    """
    try:
        await connection.run(Examine(wire))
    except MailboxUnavailable:
        return True
    except CommandRefused:
        return False
    return False


async def _namespaces(connection: Connection) -> Namespaces:
    """What the server says; Exchange 2003 does not bear to be asked."""
    if NO_NAMESPACE in connection.quirks:
        return Namespaces()
    try:
        return await namespaces(connection)
    except ConnectionLost:
        connection.quirks.add(NO_NAMESPACE)
        raise


def _selectable(listed: list[Listed]) -> list[bytes]:
    return [entry.wire for entry in listed if entry.status is not None]


def _may_be_unseen(columns: MailboxColumns, count: int | None) -> bool:
    """Whether so many messages may be unseen: of those that can not be read it is not known."""
    unseen = len(columns.uids) - int(np.count_nonzero(select(columns.bits, SEEN)))
    return count is None or unseen <= count <= unseen + columns.trouble.hopeless
