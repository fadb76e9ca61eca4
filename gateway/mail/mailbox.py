"""RFC 8621 §2: Mailbox."""

from __future__ import annotations

from typing import Any

from gateway.jmap.spec import Changes, DataType, Get, GetRequest, GetResult, Property
from gateway.mail import changes, mailbox_query
from gateway.mail.backend import backend
from gateway.mail.capability import MAIL
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
_NEEDS_MESSAGES = ("mayReadItems", "mayAddItems", "mayRemoveItems", "maySetSeen", "maySetKeywords")


def rights(mailbox: Mailbox) -> dict[str, bool]:
    """The nine booleans of MailboxRights."""
    letters = mailbox.rights if mailbox.rights is not None else _ALL_RIGHTS
    if not set(letters) & _NEW_RIGHTS:
        letters += "k" * ("c" in letters) + "te" * ("d" in letters)
    shown = {name: all(x in letters for x in needed) for name, needed in _RIGHTS.items()}
    if mailbox.role == "inbox":
        shown.update(dict.fromkeys(_NOT_FOR_THE_INBOX, False))
    if mailbox.status is None:
        shown.update(dict.fromkeys((*_NEEDS_MESSAGES, "maySubmit"), False))
    return shown


def _shown(data: AccountData, mailbox: Mailbox, request: GetRequest) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": mailbox.id,
        "name": mailbox.name,
        "parentId": mailbox.parent_id,
        "role": mailbox.role,
        "sortOrder": mailbox.sort_order,
        "isSubscribed": mailbox.is_subscribed,
    }
    if "myRights" in request.properties:
        shown["myRights"] = rights(mailbox)
    if request.sources >= COUNTED:
        counts = data.counts(mailbox)
        shown["totalEmails"] = counts.total_emails
        shown["unreadEmails"] = counts.unread_emails
        shown["totalThreads"] = counts.total_threads
        shown["unreadThreads"] = counts.unread_threads
    return {name: shown[name] for name in request.properties}


@backend
async def load(account: Account, request: GetRequest) -> GetResult:
    """RFC 8621 §2.1."""
    data = await account.fresh()
    wanted = data.mailboxes if request.ids is None else request.ids
    found = [data.mailboxes[id_] for id_ in wanted if id_ in data.mailboxes]
    return GetResult(data.mailbox_state(), {m.id: _shown(data, m, request) for m in found})


MAILBOX = DataType(
    "Mailbox",
    MAIL,
    "RFC 8621 §2",
    properties=(
        Property("name", LISTED),
        Property("parentId", LISTED),
        Property("role", LISTED),
        Property("sortOrder", LISTED),
        Property("totalEmails", COUNTED),
        Property("unreadEmails", COUNTED),
        Property("totalThreads", COUNTED),
        Property("unreadThreads", COUNTED),
        Property("myRights", LISTED),
        Property("isSubscribed", LISTED),
    ),
    get=Get(load, sources=LISTED | COUNTED),
    changes=Changes(changes.mailboxes),
    query=mailbox_query.QUERY,
)
