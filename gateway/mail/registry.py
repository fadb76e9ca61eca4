"""RFC 8621: the data types of the mail capability, as the JMAP core registers them."""

from __future__ import annotations

from typing import Any, Final

from gateway.jmap.spec import DataType
from gateway.mail.capability import MAIL, account_capability
from gateway.mail.email import EMAIL
from gateway.mail.email_sort import SORTS
from gateway.mail.mailbox import MAILBOX
from gateway.mail.search_snippet import SEARCH_SNIPPET
from gateway.mail.thread import THREAD
from gateway.sync.account import Account
from gateway.sync.shares import Share

TYPES: Final[tuple[DataType, ...]] = (MAILBOX, THREAD, EMAIL, SEARCH_SNIPPET)


def session_capabilities() -> dict[str, dict[str, Any]]:
    """What the Session object says of the server, without core."""
    return {MAIL: {}}


def account_capabilities(account: Account | Share) -> dict[str, dict[str, Any]]:
    """What the Session object says of one account: the user's own, or what others share.

    RFC 4314 has no right to make a mailbox that has no parent: of what others share, those can have
    children that say so.
    """
    sorts = tuple(sort.name for sort in SORTS)
    is_own = isinstance(account, Account)
    return {MAIL: account_capability(sorts, may_create_top_level=is_own)}
