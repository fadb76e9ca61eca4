"""RFC 8621 §2, §2.1: Mailbox/get."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gateway.jmap.spec import GetRequest, GetResult
from gateway.mail.backend import backend
from gateway.sync.account import Account
from gateway.sync.data import AccountData
from gateway.sync.mailboxes import Mailbox

LISTED, COUNTED = frozenset({"LIST"}), frozenset({"COUNTS"})

# RFC 4314 §4 to RFC 8621 §2: what each right of a Mailbox needs in IMAP.
_RIGHTS = {
    "mayReadItems": "lr",
    "mayAddItems": "i",
    "mayRemoveItems": "te",
    "maySetSeen": "s",
    "maySetKeywords": "w",
    "mayCreateChild": "k",
    "mayRename": "x",
    "mayDelete": "x",
    "maySubmit": "p",
}
_ALL_RIGHTS = "lrswipkxte"
# RFC 4314 §2.1.1: rights that RFC 2086 did not have. There, "c" and "d" stand for several of them;
# servers that have them also say "d" where only one of "t" and "e" is granted.
_NEW_RIGHTS = frozenset("kxte")
_NOT_FOR_THE_INBOX = ("mayRename", "mayDelete")
_COUNTS = frozenset({"totalEmails", "unreadEmails", "totalThreads", "unreadThreads"})
_NEEDS_MESSAGES = ("mayReadItems", "mayAddItems", "mayRemoveItems", "maySetSeen", "maySetKeywords")


def rights(mailbox: Mailbox) -> dict[str, bool]:
    """The nine booleans of MailboxRights."""
    letters = mailbox.rights if mailbox.rights is not None else _ALL_RIGHTS
    if not set(letters) & _NEW_RIGHTS:
        # "x" is part of either, as the server likes.
        letters += "kx" * ("c" in letters) + "tex" * ("d" in letters)
    granted = {name: all(x in letters for x in needed) for name, needed in _RIGHTS.items()}
    if mailbox.role == "inbox":
        granted.update(dict.fromkeys(_NOT_FOR_THE_INBOX, False))
    if mailbox.status is None:
        granted.update(dict.fromkeys((*_NEEDS_MESSAGES, "maySubmit"), False))
    return granted


def shown(data: AccountData, mailbox: Mailbox, properties: Collection[str]) -> dict[str, Any]:
    """Some properties of a Mailbox."""
    record: dict[str, Any] = {
        "id": mailbox.id,
        "name": mailbox.name,
        "parentId": mailbox.parent_id,
        "role": mailbox.role,
        "sortOrder": mailbox.sort_order,
        "isSubscribed": mailbox.is_subscribed,
    }
    if "myRights" in properties:
        record["myRights"] = rights(mailbox)
    if not _COUNTS.isdisjoint(properties):
        counts = data.counts(mailbox)
        record["totalEmails"] = counts.total_emails
        record["unreadEmails"] = counts.unread_emails
        record["totalThreads"] = counts.total_threads
        record["unreadThreads"] = counts.unread_threads
    return {name: record[name] for name in properties}


@backend
async def load(account: Account, request: GetRequest) -> GetResult:
    """RFC 8621 §2.1."""
    data = await account.fresh()
    wanted = data.mailboxes if request.ids is None else request.ids
    found = [data.mailboxes[id_] for id_ in wanted if id_ in data.mailboxes]
    return GetResult(
        data.mailbox_state(), {m.id: shown(data, m, request.properties) for m in found}
    )
