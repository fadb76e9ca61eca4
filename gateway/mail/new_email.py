"""RFC 8621 §4.6-4.8: what is given to a new Email, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from gateway.jmap.errors import SetError
from gateway.jmap.kinds import UTC_DATE
from gateway.mail.email_filter import timestamp
from gateway.mail.mailbox_get import rights
from gateway.sync import ids
from gateway.sync.data import AccountData
from gateway.sync.dates import utc_date
from gateway.sync.keywords import is_keyword

Resolve = Callable[[str], str | None]


def mailbox_ids(data: AccountData, value: object, resolve: Resolve) -> frozenset[str]:
    """The Mailboxes of a new Email.

    resolve: gives the id for "#creationId", None when nothing was created by that. Raises SetError
    invalidProperties, or forbidden where mail may not be added.
    """
    if not isinstance(value, dict) or not value or any(v is not True for v in value.values()):
        raise invalid("mailboxIds", "It is an Id[Boolean] of one Mailbox at least.")
    found = frozenset(resolve(id_) or id_ for id_ in value)
    if unknown := found - data.numbers.keys():
        holds_none = all(id_ in data.mailboxes for id_ in unknown)
        text = "A Mailbox can not hold Emails." if holds_none else "There is no such Mailbox."
        raise invalid("mailboxIds", text)
    if not all(rights(data.mailboxes[id_])["mayAddItems"] for id_ in found):
        raise SetError("forbidden", "Emails may not be added to the Mailbox.")
    return found


def keywords(value: object) -> frozenset[str]:
    """RFC 8621 §4.1.1: keywords, in lower case. Raises SetError invalidProperties."""
    if not isinstance(value, dict) or any(v is not True for v in value.values()):
        raise invalid("keywords", "It is a String[Boolean], each of them true.")
    if not all(map(is_keyword, value)):
        raise invalid("keywords", "A keyword has other characters than it may, or too many.")
    return frozenset(map(str.lower, value))


def received_at(value: object) -> datetime:
    """A moment that IMAP servers can keep. Raises SetError invalidProperties."""
    if not isinstance(value, str) or not UTC_DATE.accepts(value):
        raise invalid("receivedAt", "It is a UTCDate.")
    moment = int(timestamp(value))
    if moment < 0:
        raise invalid("receivedAt", "Mail servers keep no times before 1970.")
    return datetime.fromtimestamp(moment, UTC)


def invalid(name: str, description: str) -> SetError:
    """RFC 8620 §5.3: the SetError for one property."""
    return SetError("invalidProperties", description, properties=(name,))


def created(data: AccountData, row: int, received: datetime) -> dict[str, Any]:
    """What the client is told of a new Email, for which it asked for a `receivedAt`.

    That is what it could not know, and the date if the server has set another one: Dovecot does
    not believe in those to come.
    """
    emails = data.emails
    id_ = emails.id(row)
    told: dict[str, Any] = {
        "id": id_,
        "blobId": ids.message_blob_id(id_),
        "threadId": ids.thread_id(int(emails.thread_keys[emails.thread[row]])),
        "size": int(emails.octets[row]),
    }
    if (kept := int(emails.received[row])) != int(received.timestamp()):
        told["receivedAt"] = utc_date(kept)
    return told
