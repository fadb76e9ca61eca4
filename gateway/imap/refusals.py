"""RFC 5530, RFC 9051 §7.1: what a server means by NO and BAD, by the code or, without, by the text.

Servers that predate RFC 5530 say in prose what its codes say; what they say is known from here,
and from nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from gateway.imap.errors import (
    AuthenticationFailed,
    CommandRefused,
    ImapError,
    ServerBusy,
    Throttled,
)
from gateway.imap.wire import uidsets
from gateway.imap.wire.encode import SequenceSet

OVERQUOTA = "OVERQUOTA"

_BUSY_CODES = frozenset({"LIMIT", "INUSE", "UNAVAILABLE", "SERVERBUG", OVERQUOTA})
# Gmail and Exchange tell it in words only.
_BUSY_TEXT = re.compile(
    r"too many|simultaneous|maximum number of|throttled|try again later|temporar", re.IGNORECASE
)
# Exchange, of any command; Gmail adds OVERQUOTA to "Account exceeded command or bandwidth limits".
_THROTTLED_TEXT = re.compile(
    r"request is throttled|suggested backoff time|bandwidth limit|command rate|rate limit",
    re.IGNORECASE,
)
_BACKOFF = re.compile(r"backoff time: *+(\d{1,9}) *+(milli)?seconds?", re.IGNORECASE)
# Exchange lets users in who have no mailbox or no licence, and says so at their first command.
_NOT_CONNECTED = re.compile(r"authenticated but not connected", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"(?:line|command|arguments?|request|input)s? (?:is |are )?(?:too (?:long|large|big)|exceeds)"
    r"|too long (?:line|command|argument|request)",
    re.IGNORECASE,
)
# Of APPEND: "Message contains bare newlines", "Zero-length message literal" (Cyrus), "Can't save a
# zero byte message" (Dovecot), "Invalid message" (others).
_ABOUT_MESSAGE = re.compile(
    r"message contains|zero.(?:length|byte)|(?:invalid|malformed|bad) (?:message|header|mime)",
    re.IGNORECASE,
)
# Of CREATE, RENAME and DELETE, by the code that RFC 5530 has for it. Cyrus 3.6, Courier, Exchange.
_ABOUT_MAILBOX = {
    "ALREADYEXISTS": re.compile(r"already exists|name (?:is )?(?:in use|taken)", re.IGNORECASE),
    "HASCHILDREN": re.compile(r"has (?:child|inferior|sub)", re.IGNORECASE),
    "NONEXISTENT": re.compile(r"(?:does ?n.t|does not) exist|no such|unknown", re.IGNORECASE),
    "NOPERM": re.compile(r"permission|denied|not (?:allowed|permitted)", re.IGNORECASE),
    "LIMIT": re.compile(r"quota|limit|too many", re.IGNORECASE),
    "CANNOT": re.compile(
        r"(?:invalid|illegal|bad).{0,40}name|name.{0,40}(?:too long|not valid)", re.IGNORECASE
    ),
}
# What is refused for these is refused in parts as well.
_INDIVISIBLE_CODES = frozenset(
    {"NOPERM", "NONEXISTENT", "PRIVACYREQUIRED", "EXPIRED", "CONTACTADMIN", "CLIENTBUG", "BADEVENT"}
)


def of_login(refused: CommandRefused) -> ImapError:
    """Why nobody was let in: a NO is about the credentials unless it says otherwise."""
    in_words = refused.code in (None, "ALERT") and _BUSY_TEXT.search(refused.text)
    if refused.code in _BUSY_CODES or in_words:
        return ServerBusy(refused.code, refused.text, _suggested(refused.text))
    if refused.status == "BAD":
        return refused
    return AuthenticationFailed(refused.code, refused.text)


def of_session(refused: CommandRefused, *, stores: bool) -> ImapError | None:
    """Why a refusal is about the session and not about the command; None when it is not.

    stores: whether the command adds to what the user stores, so that OVERQUOTA means that.
    """
    if _NOT_CONNECTED.search(refused.text):
        return AuthenticationFailed(refused.code, refused.text)
    if _THROTTLED_TEXT.search(refused.text) or (refused.code == OVERQUOTA and not stores):
        return Throttled(refused.code, refused.text, _suggested(refused.text))
    return None


def is_too_long(refused: CommandRefused) -> bool:
    """Whether the server found the command line too long."""
    return refused.status == "BAD" and _TOO_LONG.search(refused.text) is not None


def is_about_message(refused: CommandRefused) -> bool:
    """Whether the server finds that what it was given is no message (RFC 5322)."""
    return refused.code is None and _ABOUT_MESSAGE.search(refused.text) is not None


def code_of_mailbox(refused: CommandRefused) -> str | None:
    """The response code of a refused CREATE, RENAME or DELETE; without one, that of its text."""
    if refused.code not in (None, "ALERT"):
        return refused.code
    return next((code for code, text in _ABOUT_MAILBOX.items() if text.search(refused.text)), None)


def remaining(
    uids: SequenceSet, received: Collection[int], refused: CommandRefused
) -> list[SequenceSet] | None:
    """What is left to ask for of a set after a refusal; None when asking again makes no sense.

    Where one message of many spoils the command (Exchange, Yahoo) halves find it; after RFC 9738
    MESSAGELIMIT the server goes on below the last UID it has worked on.
    """
    if refused.lowest_done is not None:
        return uidsets.below(uids, refused.lowest_done)
    if refused.status == "BAD" and not is_too_long(refused):
        return None
    if refused.code in _INDIVISIBLE_CODES:
        return None
    return uidsets.halves(uids, received)


def _suggested(text: str) -> float | None:
    match = _BACKOFF.search(text)
    if match is None:
        return None
    return int(match[1]) / (1000 if match[2] else 1)
