"""RFC 9110 §15.5.2 and RFC 6585 §4: why a request is not let in."""

from __future__ import annotations


class NotAuthenticated(Exception):
    """401: no credentials, unreadable ones, or the mail server refused them.

    An unknown user and a wrong password are the same to the client.
    """


class TooManyAttempts(Exception):
    """429: too many failed logins from this neighbourhood; nothing was asked of the mail server.

    `retry_after` is in whole seconds, at least 1.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after
