"""RFC 9051 §7.1: what can go wrong with an IMAP server, as exceptions that carry data."""

from __future__ import annotations

MESSAGELIMIT = "MESSAGELIMIT"
"""RFC 9738 §3.1: the response code of a command that was carried out in part."""


class ImapError(Exception):
    """Any failure of the IMAP side."""


class ConnectionLost(ImapError):
    """The connection is gone; `text` is the server's BYE text (`bye`) or the transport's reason."""

    def __init__(self, text: str, *, bye: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.bye = bye


class CommandTimeout(ImapError):
    """The server was silent, or slow, for longer than allowed; the connection was closed."""

    def __init__(self, command: str, seconds: float) -> None:
        super().__init__(f"{command}: no answer within {seconds:g} s")
        self.command = command
        self.seconds = seconds


class ProtocolError(ImapError):
    """The server sent octets that are not IMAP or exceed a bound; the connection was closed."""


class CommandRefused(ImapError):
    """A tagged NO or BAD (RFC 9051 §7.1.2, §7.1.3).

    Or an OK that says the command was not carried out to its end (RFC 9738 MESSAGELIMIT). `code` is
    the name of the response code in upper case, `numbers` the numbers among its arguments;
    `partial` is what the command had gathered before it was refused, where the command says so.
    """

    def __init__(
        self,
        command: str,
        status: str,
        code: str | None,
        text: str,
        partial: object = None,
        numbers: tuple[int, ...] = (),
    ) -> None:
        super().__init__(f"{command}: {status} {f'[{code}] ' if code else ''}{text}")
        self.command = command
        self.status = status
        self.code = code
        self.text = text
        self.partial = partial
        self.numbers = numbers

    @property
    def lowest_done(self) -> int | None:
        """RFC 9738 §3.1: the UID below which the command is to go on; None when it is not that."""
        return self.numbers[1] if self.code == MESSAGELIMIT and len(self.numbers) > 1 else None


class MailboxUnavailable(CommandRefused):
    """The mailbox does not exist, or no longer does, or may not be opened."""


class AuthenticationFailed(ImapError):
    """The server refused the credentials (RFC 5530 AUTHENTICATIONFAILED and its relatives)."""

    def __init__(self, code: str | None, text: str) -> None:
        super().__init__(f"[{code}] {text}" if code else text)
        self.code = code
        self.text = text


class ServerBusy(ImapError):
    """The server can not serve this user now: RFC 5530 LIMIT, INUSE, UNAVAILABLE, BYE at login.

    `seconds` is how long the server asks to be left alone, None when it does not say.
    """

    def __init__(self, code: str | None, text: str, seconds: float | None = None) -> None:
        super().__init__(f"[{code}] {text}" if code else text)
        self.code = code
        self.text = text
        self.seconds = seconds


class Throttled(ServerBusy):
    """The server finds that this user asks too much: all of the user's commands are to wait."""
