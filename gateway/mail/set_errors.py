"""RFC 8620 §5.3: what a change that the server did not make is called in JMAP."""

from __future__ import annotations

from gateway.jmap.errors import SetError
from gateway.sync.failures import Failure, FailureKind

_TYPES = {
    FailureKind.OVER_QUOTA: ("overQuota", "The mail server has no room left for this account."),
    FailureKind.FORBIDDEN: ("forbidden", "The mail server does not permit this."),
    FailureKind.TOO_LARGE: ("tooLarge", "The mail server does not take messages of this size."),
    FailureKind.INVALID: ("invalidEmail", "The mail server finds that it is no message."),
    FailureKind.NOT_FOUND: ("notFound", None),
    FailureKind.NO_MAILBOX: ("invalidProperties", "The Mailbox is gone."),
    FailureKind.KEYWORDS: ("tooManyKeywords", "The Mailbox takes no further keywords."),
    FailureKind.CHANGED: ("stateMismatch", "Another client has changed it meanwhile."),
    FailureKind.REFUSED: ("forbidden", "The mail server refuses this."),
    FailureKind.UNAVAILABLE: ("serverUnavailable", "The mail server could not be reached."),
}


def set_error(failure: Failure) -> SetError:
    """The SetError of a failure; its text names no host and no user."""
    type_, description = _TYPES[failure.kind]
    if failure.kind is FailureKind.NO_MAILBOX:
        return SetError(type_, description, properties=("mailboxIds",))
    return SetError(type_, description)
