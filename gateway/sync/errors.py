"""What can come between the index and the server (RFC 9051 §2.3.1.1)."""

from __future__ import annotations

from gateway.imap.errors import ConnectionLost, ImapError


class MailboxChanged(ImapError):
    """A mailbox is not the one the index knows: it is gone, or has another UIDVALIDITY."""


class MessageGone(ImapError):
    """The message is in no mailbox any more."""


class Withdrawn(ImapError):
    """RFC 8620 §1.6.2: nothing of what another user shared is shared any more."""


class Narrowed(ConnectionLost):
    """The connection broke over some messages; the next time it is fewer that can break it."""


class Outdated(ConnectionLost):
    """The session still lists the mailboxes of the past, and was closed; another one may not."""


class ScriptsUnavailable(ImapError):
    """RFC 5804: the user's Sieve scripts can not be had, or changed, at the moment."""


class ScriptsTooLarge(ScriptsUnavailable):
    """The user's Sieve scripts are too many, or too large, to be read."""


class ScriptsRefused(ScriptsUnavailable):
    """The ManageSieve server does not let the user in, whom the IMAP server does."""


class NotCommitted(Exception):
    """The store does not take what has changed now; until it does, none of that may be told.

    What was told and then forgotten could never be told rightly again.
    """
