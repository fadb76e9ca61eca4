"""RFC 8621 §4.4: Email/query, on the columns of the index and by searches of the server."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gateway.jmap.errors import MethodError
from gateway.jmap.kinds import BOOLEAN
from gateway.jmap.spec import Argument, Comparator, Query, QueryRequest, Results
from gateway.mail import email_filter, text_search
from gateway.mail.backend import backend
from gateway.mail.email_sort import SORTS, by_header, is_newest_first, ordered, rank_of
from gateway.mail.filter_tree import FilterTree
from gateway.mail.text_search import Text
from gateway.sync import searching
from gateway.sync.account import Account
from gateway.sync.arrays import Mask, Rows
from gateway.sync.data import AccountData
from gateway.sync.searching import SearchRefused, TooManyToSearch

# How many more messages than asked for a first look takes, so that collapsing threads seldom
# needs a second one; and where looking at the newest only stops to pay.
_WINDOW_FACTOR = 2
_WINDOW_LEAST = 100
_WINDOW_MOST = 2000
_COLLAPSED_AT_FIRST = 4


@dataclass(frozen=True)
class EmailResults:
    """The rows where `mask` is true, as of one version of the index.

    They are put in order only when somebody wants to see them: counting does not need it.
    """

    data: AccountData
    query_state: str
    mask: Mask
    sort: tuple[Comparator, ...]
    collapse: bool
    can_calculate_changes: bool = False

    @cached_property
    def rows(self) -> Rows:
        """The rows in order, threads not collapsed."""
        return ordered(self.data, self.mask, self.sort)

    async def total(self) -> int:
        """How many match."""
        if not self.collapse:
            return int(np.count_nonzero(self.mask))
        emails = self.data.emails
        threads = np.zeros(len(emails.thread_keys), np.bool_)
        threads[emails.thread[: emails.size][self.mask]] = True
        return int(np.count_nonzero(threads))

    async def slice(self, start: int, stop: int | None) -> list[str]:
        """Ids from start up to stop."""
        return [self.data.emails.id(row) for row in self._first(stop)[start:stop].tolist()]

    async def index(self, id: str) -> int | None:
        """Position of an Email, None when it does not match."""
        row = self.data.emails.row(id)
        if row < 0:
            return None
        at = np.flatnonzero(self._all() == row)
        return int(at[0]) if len(at) else None

    def _all(self) -> Rows:
        return collapsed(self.data, self.rows) if self.collapse else self.rows

    def _first(self, count: int | None) -> Rows:
        """At least the first `count` rows: the start of a list collapses like the whole of it."""
        if not self.collapse or count is None:
            return self._all()
        length = _COLLAPSED_AT_FIRST * count
        while length < len(self.rows):
            rows = collapsed(self.data, self.rows[:length])
            if len(rows) >= count:
                return rows
            length *= 4
        return self._all()


@dataclass(frozen=True, slots=True)
class WindowResults:
    """RFC 8621 §4.4.3 on a mailbox that is not indexed yet: its newest Emails are enough.

    Anything but a slice near the start waits for the index.
    """

    account: Account
    data: AccountData
    request: QueryRequest
    mailbox_id: str
    query_state: str
    can_calculate_changes: bool = False

    async def total(self) -> int:
        """How many match, once that is known."""
        return await (await self._whole()).total()

    async def slice(self, start: int, stop: int | None) -> list[str]:
        """Ids from start up to stop."""
        count = max(_WINDOW_LEAST, _WINDOW_FACTOR * stop) if stop is not None else _WINDOW_MOST + 1
        while stop is not None and count <= _WINDOW_MOST:
            newest = await self.account.newest(self.mailbox_id, count)
            if newest is None:
                break
            rows = newest.rows
            if self.request.arguments["collapseThreads"]:
                rows = collapsed(self.data, rows)
            if len(rows) >= stop or newest.is_all:
                return [self.data.emails.id(row) for row in rows[start:stop].tolist()]
            count *= 4
        return await (await self._whole()).slice(start, stop)

    async def index(self, id: str) -> int | None:
        """Position of an Email, once the mailbox is known."""
        return await (await self._whole()).index(id)

    async def _whole(self) -> EmailResults:
        data = await self.account.indexed()
        return evaluate(data, self.request, FilterTree(self.request.filter))


def collapsed(data: AccountData, rows: Rows) -> Rows:
    """RFC 8621 §4.4.3: only the first row of each Thread, in order."""
    threads = data.emails.thread[rows]
    positions = np.arange(len(rows), dtype=np.int32)
    first = np.empty(len(data.emails.thread_keys), np.int32)
    # Written from the last to the first, so that the first one stays.
    first[threads[::-1]] = positions[::-1]
    kept: Rows = rows[first[threads] == positions]
    return kept


def evaluate(data: AccountData, request: QueryRequest, tree: FilterTree) -> EmailResults:
    """Filter a complete index whose sort columns are made, and whose searches are done."""
    collapse = request.arguments["collapseThreads"]
    mask = tree.matching(data)
    state = data.email_state()
    if tree.has_text:
        # The server may find more in the same mail a while after it came.
        found = hashlib.blake2b(np.packbits(mask).tobytes(), digest_size=8)
        state = f"{state}.{found.hexdigest()}"
    return EmailResults(data, state, mask, request.sort, collapse)


@backend
async def run(account: Account, request: QueryRequest) -> Results:
    """RFC 8621 §4.4. Waits for as much of the account as the answer depends on."""
    tree = FilterTree(request.filter)
    data = await account.fresh()
    mailbox_id = _window(data, request)
    if mailbox_id is not None:
        return WindowResults(account, data, request, mailbox_id, data.email_state())
    data = await account.indexed()
    await _prepare(account, data, request, tree)
    return evaluate(data, request, tree)


def _window(data: AccountData, request: QueryRequest) -> str | None:
    """The mailbox whose newest messages answer the query before it is indexed."""
    mailbox_id = email_filter.only_mailbox(request.filter)
    columns = data.columns(mailbox_id) if mailbox_id is not None else None
    if columns is None or columns.complete or not is_newest_first(request.sort):
        return None
    return mailbox_id


async def _prepare(
    account: Account, data: AccountData, request: QueryRequest, tree: FilterTree
) -> None:
    """Make what the filter and the sort look at; mail may arrive while that is done."""
    if email_filter.uses(request.filter, "hasAttachment"):
        await account.attachments_known()
    ranks = [data.orders.rank(*rank_of(data, c)) for c in by_header(request.sort)]
    deadline = asyncio.get_running_loop().time() + searching.DEADLINE
    while True:
        while any(len(rank.ranks) < data.emails.size for rank in ranks):
            for rank in ranks:
                await rank.extend(data.emails.size, account.content.load_headers)
        wanted = tree.wanted(data) if tree.has_text else None
        if wanted is None:
            return
        try:
            async with asyncio.timeout_at(deadline):
                await _search(account, tree, *wanted)
        except TimeoutError:
            raise MethodError("serverUnavailable", _TOO_LONG) from None


_TOO_LONG = "The search takes too long. What it has found is kept: try again to go on."


async def _search(account: Account, tree: FilterTree, text: Text, rows: Mask) -> None:
    """Find out which of `rows` match a text: by the server, or by the headers in the index."""
    sought = text.criteria
    if sought is None:
        tree.refused(text)
        return
    try:
        found = await account.searching.matching(sought, rows)
    except SearchRefused as refused:
        if text.parts:
            tree.refused(text)
            return
        if text.in_header is None:
            raise _unsupported(sought.ascii, "here") from refused
        try:
            found = await account.searching.matching_header(sought, rows, text.in_header)
        except TooManyToSearch as many:
            raise _unsupported(sought.ascii, "in so many messages") from many
    tree.found(text, rows, found)


def _unsupported(is_ascii: bool, where: str) -> MethodError:
    words = "for this" if is_ascii else "for words with letters outside of ASCII"
    return MethodError("unsupportedFilter", f"The mail server does not search {words} {where}.")


QUERY = Query(
    run,
    email_filter.CONDITIONS + text_search.CONDITIONS,
    SORTS,
    arguments=(Argument("collapseThreads", BOOLEAN, False),),
)
