"""RFC 9110 §15.5.2, RFC 6585 §4, RFC 6750 §3.1: why a request is not let in."""

from __future__ import annotations

from typing import Literal, TypeAlias

InvalidToken: TypeAlias = Literal["invalid_token"]
"""RFC 6750 §3.1."""


class NotAuthenticated(Exception):
    """401: no credentials, unreadable ones, or the mail server refused them.

    An unknown user and a wrong password are the same to the client. error: of a bearer token, the
    code of RFC 6750 §3.1 for it.
    """

    def __init__(self, error: InvalidToken | None = None) -> None:
        super().__init__(error or "not authenticated")
        self.error = error


class InsufficientScope(Exception):
    """403: the access token is good, for other things. `scopes`: any of them would do."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        super().__init__(" ".join(scopes))
        self.scopes = scopes


class IssuerUnavailable(Exception):
    """503: whoever could say what an access token is good for does not answer."""


class TooManyAttempts(Exception):
    """429: too many failed logins from this neighbourhood; nothing was asked of the mail server.

    `retry_after` is in whole seconds, at least 1.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after
