"""RFC 5804 §1.3: what can go wrong with a ManageSieve server, as exceptions that carry data.

`code` is the name of the response code as it was sent, in upper case ("QUOTA/MAXSIZE"), None
without one; `text` is what the server has to say to a person, which may be of several lines.
"""

from __future__ import annotations


class SieveError(Exception):
    """Any failure of the ManageSieve side."""


class ConnectionLost(SieveError):
    """The connection is gone; `text` is the server's BYE text (`bye`) or the system's reason.

    referral: the URL of the server that BYE tells to go to. It is not followed: that is for the
    operator, who says to whom passwords are sent.
    """

    def __init__(
        self, text: str, *, bye: bool = False, code: str | None = None, referral: str | None = None
    ) -> None:
        super().__init__(f"[{code}] {text}" if code else text)
        self.text = text
        self.bye = bye
        self.code = code
        self.referral = referral


class CommandTimeout(SieveError):
    """There was no answer within `seconds`; the connection was closed."""

    def __init__(self, command: str, seconds: float) -> None:
        super().__init__(f"{command}: no answer within {seconds:g} s")
        self.command = command
        self.seconds = seconds


class ProtocolError(SieveError):
    """The server sent octets that are not ManageSieve or exceed a bound; it was hung up on."""


class CommandRefused(SieveError):
    """A NO, of another kind than those below."""

    def __init__(self, command: str, code: str | None, text: str) -> None:
        super().__init__(f"{command}: {f'[{code}] ' if code else ''}{text}")
        self.command = command
        self.code = code
        self.text = text


class AuthenticationFailed(CommandRefused):
    """The login was refused, or can not be tried: the server has not the mechanism.

    Codes: AUTH-TOO-WEAK, ENCRYPT-NEEDED, TRANSITION-NEEDED.
    """


class TryLater(CommandRefused):
    """TRYLATER: a failure of the server that will pass."""


class ScriptNotFound(CommandRefused):
    """NONEXISTENT."""


class ScriptExists(CommandRefused):
    """ALREADYEXISTS."""


class ScriptActive(CommandRefused):
    """ACTIVE: the active script can not be deleted."""


class OverQuota(CommandRefused):
    """QUOTA, or a NO to HAVESPACE."""


class TooManyScripts(OverQuota):
    """QUOTA/MAXSCRIPTS."""


class ScriptTooLarge(OverQuota):
    """QUOTA/MAXSIZE."""


class ScriptInvalid(CommandRefused):
    """The script is no valid Sieve, or not for this server; `text` says in which line."""


class CommandUnsupported(CommandRefused):
    """The server is of before RFC 5804 and has not the command (§1.7 VERSION)."""
