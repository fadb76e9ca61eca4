"""RFC 8621 §4.4: makes ready what an Email/query looks at, as far as that needs the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.jmap.errors import MethodError
from gateway.jmap.spec import QueryRequest
from gateway.mail import email_filter
from gateway.mail.email_sort import by_header, rank_of
from gateway.mail.filter_tree import FilterTree
from gateway.mail.text_search import Text
from gateway.sync import searching
from gateway.sync.account import Account
from gateway.sync.arrays import Mask
from gateway.sync.data import AccountData
from gateway.sync.orders import Rank
from gateway.sync.searching import SearchRefused, TooManyToSearch
from gateway.sync.view import View

_TOO_LONG = "The search takes too long. What it has found is kept: try again to go on."


async def prepare(
    account: Account,
    data: AccountData,
    request: QueryRequest,
    tree: FilterTree,
    views: Callable[[], Sequence[View]],
) -> None:
    """Make what filter and sort look at; mail may arrive while that is done.

    views: the moments that the query is to be evaluated at, as of when it is called. When this
    returns, nothing is missing for them, until something is waited for again.
    """
    ranks = [data.orders.rank(*rank_of(data, c)) for c in by_header(request.sort)]
    by_attachment = "hasAttachment" in email_filter.names(request.filter)
    deadline = asyncio.get_running_loop().time() + searching.DEADLINE
    checked = 0
    tried: set[int] = set()
    rechecked = False
    while True:
        while by_attachment and checked < data.committed.rows:
            checked = data.committed.rows
            await account.attachments_known()
        if await _extend(account, data, ranks, tried):
            continue
        if not rechecked and _is_behind(data, ranks):
            await account.recheck()
            rechecked = True
            continue
        wanted = _wanted(tree, views) if tree.has_text else None
        if wanted is None:
            return
        try:
            async with asyncio.timeout_at(deadline):
                await _search(account, tree, *wanted)
        except TimeoutError:
            raise MethodError("serverUnavailable", _TOO_LONG) from None


async def _extend(
    account: Account, data: AccountData, ranks: Sequence[Rank], tried: set[int]
) -> bool:
    """Take in the rows that came since; False when there are none, and nothing was waited for.

    Also those that are Emails again, and were none when their headers were asked for; `tried` are
    those of which that was no use.
    """
    visible = data.emails.visible()
    waited = False
    for rank in ranks:
        again = [row for row in sorted(rank.unknown - tried) if visible[row]]
        if again or len(rank.ranks) < data.committed.rows:
            await rank.extend(data.committed.rows, account.content.load_headers, again)
            waited = True
            tried.update(again)
    return waited


def _is_behind(data: AccountData, ranks: Sequence[Rank]) -> bool:
    """Whether Emails have no place in an order: the server may have them no longer."""
    visible = data.emails.visible()
    return any(visible[row] for rank in ranks for row in rank.unknown)


def _wanted(tree: FilterTree, views: Callable[[], Sequence[View]]) -> tuple[Text, Mask] | None:
    searches = (tree.wanted(view) for view in views())
    return next((search for search in searches if search is not None), None)


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
