"""RFC 8621 §2: Mailbox."""

from __future__ import annotations

from gateway.jmap.kinds import BOOLEAN, ID, STRING, UNSIGNED_INT, nullable
from gateway.jmap.settable import ABSENT, Set, Settable
from gateway.jmap.spec import Argument, Changes, DataType, Get, Property
from gateway.mail import changes, mailbox_get, mailbox_query, mailbox_set
from gateway.mail.capability import MAIL
from gateway.mail.mailbox_get import COUNTED, LISTED

MAILBOX = DataType(
    "Mailbox",
    MAIL,
    "RFC 8621 §2",
    properties=(
        Property("name", LISTED, settable=Settable(STRING)),
        Property("parentId", LISTED, settable=Settable(nullable(ID), None, refers=True)),
        Property("role", LISTED, settable=Settable(nullable(STRING), None)),
        # Roles come first and the others later, so that 0 would be no good default. Null is that.
        Property("sortOrder", LISTED, settable=Settable(nullable(UNSIGNED_INT), ABSENT)),
        Property("totalEmails", COUNTED),
        Property("unreadEmails", COUNTED),
        Property("totalThreads", COUNTED),
        Property("unreadThreads", COUNTED),
        Property("myRights", LISTED),
        Property("isSubscribed", LISTED, settable=Settable(BOOLEAN, True)),
    ),
    get=Get(mailbox_get.load, sources=LISTED | COUNTED),
    changes=Changes(changes.mailboxes),
    query=mailbox_query.QUERY,
    set=Set(mailbox_set.open_set, arguments=(Argument("onDestroyRemoveEmails", BOOLEAN, False),)),
)
