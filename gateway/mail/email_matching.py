"""RFC 8621 §4.4.1: which of a few Emails a filter matches, without looking at all the others."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.jmap.spec import Filter, QueryRequest
from gateway.mail.backend import backend
from gateway.mail.email_prepare import prepare
from gateway.mail.filter_tree import FilterTree
from gateway.sync.account import Account
from gateway.sync.view import View


@backend
async def matching(account: Account, ids: Sequence[str], filter_: Filter | None) -> list[str]:
    """Those that match and are still there, in the same order; only these are searched.

    Raises MethodError as Email/query does.
    """
    tree = FilterTree(filter_, ids)
    data = await account.indexed()
    request = QueryRequest(filter_, (), {"collapseThreads": False})
    await prepare(account, data, request, tree, lambda: (View.now(data),))
    mask = tree.matching(View.now(data))
    rows = data.emails.rows(ids)
    return [id_ for id_ in ids if id_ in rows and rows[id_] < len(mask) and mask[rows[id_]]]
