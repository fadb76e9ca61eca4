"""RFC 5804 §1.3: which error a NO is."""

from __future__ import annotations

from gateway.managesieve.errors import (
    AuthenticationFailed,
    CommandRefused,
    OverQuota,
    ScriptActive,
    ScriptExists,
    ScriptInvalid,
    ScriptNotFound,
    ScriptTooLarge,
    TooManyScripts,
    TryLater,
)
from gateway.managesieve.wire.responses import Completion

# More detailed codes first: a level that is not known is the one above it.
_KINDS: tuple[tuple[str, type[CommandRefused]], ...] = (
    ("QUOTA/MAXSCRIPTS", TooManyScripts),
    ("QUOTA/MAXSIZE", ScriptTooLarge),
    ("QUOTA", OverQuota),
    ("TRYLATER", TryLater),
    ("ACTIVE", ScriptActive),
    ("NONEXISTENT", ScriptNotFound),
    ("ALREADYEXISTS", ScriptExists),
)
# What a NO without a known code means, by the command (§2.5, §2.6, §2.12).
_UNSAID: dict[str, type[CommandRefused]] = {
    "PUTSCRIPT": ScriptInvalid,
    "CHECKSCRIPT": ScriptInvalid,
    "HAVESPACE": OverQuota,
}
OF_LOGIN = frozenset({"AUTH-TOO-WEAK", "ENCRYPT-NEEDED", "TRANSITION-NEEDED"})
"""Codes that say why a login is refused, also when it is by BYE."""


def of(command: str, refused: Completion) -> CommandRefused:
    """The error for a NO to a command."""
    code = refused.code
    kinds = (kind for name, kind in _KINDS if code is not None and code.within(name))
    kind = next(kinds, _UNSAID.get(command, CommandRefused))
    return kind(command, code.name if code else None, refused.text)


def of_login(refused: Completion) -> CommandRefused:
    """The error for a NO to AUTHENTICATE: all but TRYLATER is about who signs in, and how."""
    code = refused.code
    kind = TryLater if code is not None and code.within("TRYLATER") else AuthenticationFailed
    return kind("AUTHENTICATE", code.name if code else None, refused.text)
