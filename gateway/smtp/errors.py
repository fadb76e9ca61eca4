"""RFC 5321 §4.2.1, §4.5.3.2: why a message was not taken, or that nobody can know whether it was.

But for UnknownEnd, an error means that the server has certainly not taken the message.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.smtp.reply import Reply


class SmtpError(Exception):
    """The message was not taken. reply: what the server said to that; is_temporary: try later."""

    def __init__(self, text: str, reply: Reply | None = None) -> None:
        super().__init__(text if reply is None else f"{text}: {reply}")
        self.text = text
        self.reply = reply

    @property
    def is_temporary(self) -> bool:
        """Whether the same message may be taken later."""
        return self.reply is None or self.reply.is_temporary


class Unreachable(SmtpError):
    """No connection could be made, or it was lost or fell silent before the message had ended."""


class TlsFailed(SmtpError):
    """The server has no TLS where it must have it, or no certificate that can be trusted."""


class AuthenticationFailed(SmtpError):
    """The server did not let the user in."""


class SenderRefused(SmtpError):
    """The server does not take messages from this address."""


class RecipientsRefused(SmtpError):
    """The server does not take the message for some: `refused` has its replies to them."""

    def __init__(self, refused: Mapping[str, Reply]) -> None:
        replies = [*refused.values()]
        final = [each for each in replies if not each.is_temporary]
        super().__init__("recipients are refused", (final or replies)[0])
        self.refused = refused


class TooManyRecipients(SmtpError):
    """RFC 5321 §4.5.3.1.10: the server takes no more than `limit` recipients at once."""

    def __init__(self, limit: int, reply: Reply) -> None:
        super().__init__("too many recipients", reply)
        self.limit = limit

    @property
    def is_temporary(self) -> bool:
        """The same message has as many recipients later."""
        return False


class MessageTooLarge(SmtpError):
    """The message is larger than the server takes; limit: in octets, if that is known."""

    def __init__(self, limit: int | None, reply: Reply | None = None) -> None:
        super().__init__("the message is too large", reply)
        self.limit = limit

    @property
    def is_temporary(self) -> bool:
        """Whether it is only now that there is no room."""
        return self.reply is not None and self.reply.is_temporary


class MessageRefused(SmtpError):
    """The server does not take the message as such."""


class NotTransportable(SmtpError):
    """The server lacks what the message needs (RFC 6152, RFC 6531)."""

    @property
    def is_temporary(self) -> bool:
        """It will lack that later, too."""
        return False


class UnknownEnd(Exception):
    """The end of the message was sent, and no valid reply came: it may have been taken."""


class BadAddress(ValueError):
    """An address that can not be sent to or from, as it is or by this server."""

    def __init__(self, email: str, reason: str) -> None:
        super().__init__(f"{email}: {reason}")
        self.email = email
        self.reason = reason


class BadParameter(ValueError):
    """A parameter of an address that this server does not take, or not with this value."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
