"""A mail server's verdicts, on cue."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gateway.imap.errors import AuthenticationFailed
from gateway.sasl import AnyCredentials, TokenCredentials


@dataclass
class Account:
    username: str


@dataclass
class FakeAccounts:
    """Knows `passwords` by user name; `calls` are the logins that reached the mail server.

    With `gate`, a login waits for that event before its verdict; `broken` is raised instead.
    """

    passwords: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    active: dict[str, Account] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    broken: Exception | None = None

    async def login(self, credentials: AnyCredentials, client_address: str) -> Account:
        username = credentials.username
        self.calls.append((username, client_address))
        if self.gate is not None:
            await self.gate.wait()
        if self.broken is not None:
            raise self.broken
        if self.passwords.get(username) != _secret(credentials):
            raise AuthenticationFailed("AUTHENTICATIONFAILED", "Authentication failed.")
        return self.active.setdefault(username, Account(username))

    def get(self, username: str) -> Account | None:
        return self.active.get(username)


def _secret(credentials: AnyCredentials) -> str:
    if isinstance(credentials, TokenCredentials):
        return credentials.token
    return credentials.password


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
