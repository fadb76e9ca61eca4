"""RFC 8621 §4.4: Email/query, on the columns of the index and by searches of the server."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.jmap.kinds import BOOLEAN
from gateway.jmap.spec import Argument, Query, QueryRequest, Results
from gateway.mail import email_filter, email_query_changes, text_search
from gateway.mail.backend import backend
from gateway.mail.email_prepare import prepare
from gateway.mail.email_results import EmailResults, collapsed, evaluate
from gateway.mail.email_sort import SORTS, is_newest_first
from gateway.mail.filter_tree import FilterTree
from gateway.mail.query_state import query_state
from gateway.sync.account import Account
from gateway.sync.data import AccountData
from gateway.sync.newest import Newest
from gateway.sync.view import View

# How many more messages than asked for a first look takes, so that collapsing threads seldom
# needs a second one; and where looking at the newest only stops to pay.
_WINDOW_FACTOR = 2
_WINDOW_LEAST = 100
_WINDOW_MOST = 2000
_WINDOW_ROUNDS = 3


@dataclass(slots=True)
class WindowResults:
    """RFC 8621 §4.4.3 on a mailbox that is not indexed yet: its newest Emails are enough.

    Anything but a slice near the start waits for the index; from then on all is of that moment.
    """

    account: Account
    data: AccountData
    request: QueryRequest
    mailbox_id: str
    can_calculate_changes: bool = True
    _whole: EmailResults | None = field(default=None, init=False)

    @property
    def query_state(self) -> str:
        """The state of what was answered last."""
        if self._whole is not None:
            return self._whole.query_state
        return query_state(self.request, self.data.email_state())

    @backend
    async def total(self) -> int:
        """How many match, once that is known."""
        return await (await self._indexed()).total()

    @backend
    async def slice(self, start: int, stop: int | None) -> list[str]:
        """Ids from start up to stop."""
        count = max(_WINDOW_LEAST, _WINDOW_FACTOR * stop) if stop is not None else _WINDOW_MOST + 1
        while self._whole is None and stop is not None and count <= _WINDOW_MOST:
            newest = await self._newest(count)
            if newest is None:
                break
            rows = newest.rows
            if self.request.arguments["collapseThreads"]:
                rows = collapsed(self.data.emails, rows)
            if len(rows) >= stop or newest.is_all:
                return [self.data.emails.id(row) for row in rows[start:stop].tolist()]
            count *= 4
        return await (await self._indexed()).slice(start, stop)

    async def _newest(self, count: int) -> Newest | None:
        """The newest Emails as of the present state; None if only the index can tell."""
        for _ in range(_WINDOW_ROUNDS):
            state = self.data.email_state()
            newest = await self.account.newest(self.mailbox_id, count)
            # What another request was given for the same may be older than what was found since.
            if newest is None or self.data.email_state() == state:
                return newest
        return None

    @backend
    async def index(self, id: str) -> int | None:
        """Position of an Email, once the mailbox is known."""
        return await (await self._indexed()).index(id)

    async def _indexed(self) -> EmailResults:
        if self._whole is None:
            data = await self.account.indexed()
            tree = FilterTree(self.request.filter)
            self._whole = evaluate(View.now(data), self.request, tree, data.email_state())
        return self._whole


@backend
async def run(account: Account, request: QueryRequest) -> Results:
    """RFC 8621 §4.4. Waits for as much of the account as the answer depends on."""
    tree = FilterTree(request.filter)
    data = await account.fresh()
    mailbox_id = _window(data, request)
    if mailbox_id is not None:
        return WindowResults(account, data, request, mailbox_id)
    data = await account.indexed()
    await prepare(account, data, request, tree, lambda: (View.now(data),))
    return evaluate(View.now(data), request, tree, data.email_state())


def _window(data: AccountData, request: QueryRequest) -> str | None:
    """The mailbox whose newest messages answer the query before it is indexed."""
    if data.complete:
        return None
    mailbox_id = email_filter.only_mailbox(request.filter)
    columns = data.columns(mailbox_id) if mailbox_id is not None else None
    if columns is None or columns.complete or not is_newest_first(request.sort):
        return None
    return mailbox_id


QUERY = Query(
    run,
    email_filter.CONDITIONS + text_search.CONDITIONS,
    SORTS,
    arguments=(Argument("collapseThreads", BOOLEAN, False),),
    changes=email_query_changes.run,
)
