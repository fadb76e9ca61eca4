"""RFC 8620 §5.3, RFC 5530: why something of an account could not be changed on the server."""

from __future__ import annotations

from enum import Enum

from gateway.imap import refusals
from gateway.imap.errors import CommandRefused, ImapError, MailboxUnavailable


class FailureKind(Enum):
    """What stands in the way."""

    OVER_QUOTA = "over quota"
    FORBIDDEN = "not permitted"
    TOO_LARGE = "too large"
    INVALID = "no message, as the server finds"
    NOT_FOUND = "the message is gone"
    NO_MAILBOX = "the mailbox is gone"
    KEYWORDS = "the mailbox takes no further keywords"
    CHANGED = "changed by another client meanwhile"
    REFUSED = "refused by the server"
    UNAVAILABLE = "the server can not be reached"


class Failure(Exception):
    """One change was not made; the account is as it was in that respect, as far as is known.

    text: what the server said, for the log.
    """

    def __init__(self, kind: FailureKind, text: str = "") -> None:
        super().__init__(f"{kind.value}: {text}" if text else kind.value)
        self.kind = kind
        self.text = text


class Unknown(ImapError):
    """What was done is not known: the connection was lost, and the account can not be read."""


# RFC 5530 §3, RFC 4469 §5, RFC 7889: response codes, where they say more than that it is refused.
_KINDS = {
    refusals.OVERQUOTA: FailureKind.OVER_QUOTA,
    "NOPERM": FailureKind.FORBIDDEN,
    "READ-ONLY": FailureKind.FORBIDDEN,
    "TOOBIG": FailureKind.TOO_LARGE,
    "TRYCREATE": FailureKind.NO_MAILBOX,
    "NONEXISTENT": FailureKind.NO_MAILBOX,
    "LIMIT": FailureKind.KEYWORDS,
    "INUSE": FailureKind.UNAVAILABLE,
    "UNAVAILABLE": FailureKind.UNAVAILABLE,
    "SERVERBUG": FailureKind.UNAVAILABLE,
}


def of_refusal(refused: CommandRefused) -> Failure:
    """What a NO or BAD stands for."""
    kind = _KINDS.get(refused.code or "")
    if refusals.is_about_message(refused):
        kind = FailureKind.INVALID
    if kind is None:
        gone = isinstance(refused, MailboxUnavailable)
        kind = FailureKind.NO_MAILBOX if gone else FailureKind.REFUSED
    return Failure(kind, str(refused))
