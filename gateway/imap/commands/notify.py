"""RFC 5465: NOTIFY: the server tells of changes in all mailboxes, whether a command runs or not.

What it tells goes to `Connection.on_unsolicited`.
"""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gateway.imap.command import Command
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import STATES, Tagged, Untagged

# RFC 5465 §5.1 to §5.5: all that JMAP shows. FlagChange is told as a new HIGHESTMODSEQ, so it comes
# only where CONDSTORE or QRESYNC is enabled.
_EVENTS = ("MessageNew", "MessageExpunge", "FlagChange", "MailboxName", "SubscriptionChange")
OVERFLOW = "NOTIFICATIONOVERFLOW"
"""§5.8: the response code of a server that has too much to tell."""


class Notify(Command[None]):
    """NOTIFY SET for the user's own mailboxes (§6.2) and those named, by their wire names (§6.6).

    A connection is for nothing else afterwards: of a mailbox it selects nothing is told, and of the
    others late; after a second NOTIFY SET Dovecot 2.3 tells nothing any more; and after NOTIFY NONE
    nothing is told in IDLE either (§3.1).
    """

    name: ClassVar[str] = "NOTIFY"

    def __init__(self, mailboxes: Sequence[bytes] = ()) -> None:
        self._mailboxes = mailboxes

    def encode(self) -> Encoded:
        events = encode.parenthesised(*map(encode.atom, _EVENTS))
        groups = [encode.parenthesised(encode.atom("personal"), events)]
        if self._mailboxes:
            named = encode.parenthesised(*map(encode.mailbox, self._mailboxes))
            groups.append(encode.parenthesised(encode.atom("mailboxes"), named, events))
        return encode.join(encode.atom(self.name), encode.atom("SET"), *groups)

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)


def tells_of_change(response: Untagged) -> bool:
    """Whether an unsolicited response is about mailboxes (STATUS, LIST, ...)."""
    return response.name not in STATES


def has_overflowed(response: Untagged) -> bool:
    """§5.8: there was too much to tell, and the server behaves as if NOTIFY NONE had been sent."""
    if response.name not in STATES or response.text.code is None:
        return False
    return response.text.code.name == OVERFLOW
