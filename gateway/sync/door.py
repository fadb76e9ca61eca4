"""RFC 9051 §6.2: how the IMAP server is reached, and as whom."""

from __future__ import annotations

from dataclasses import dataclass
from ssl import SSLContext

from gateway.imap.connection import Connection, Endpoint
from gateway.imap.errors import AuthenticationFailed
from gateway.imap.quirks import Learnt
from gateway.obs.log import get_logger
from gateway.sasl import AnyCredentials
from gateway.sync.pace import Pace
from gateway.sync.sieve_access import SieveSettings

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach the IMAP server, and how much memory all accounts may take.

    server_events: whether the server reports changes by itself (gateway.http.events).
    upload_quota: octets of uploads that are kept for one user in one account. sieve: where the
    ManageSieve server is, None if there is none. logins_per_second: at most, of all users.
    """

    endpoint: Endpoint
    ssl_context: SSLContext | None
    connections: int = 2
    connect_seconds: float = 20.0
    silence_seconds: float = 30.0
    idle_seconds: float = 60.0
    memory_bytes: int = 1 << 30
    server_events: bool = False
    upload_quota: int = 500_000_000
    sieve: SieveSettings | None = None
    logins_per_second: float = 50.0

    @property
    def backend(self) -> str:
        """What ids of accounts are derived from, beside the user's name."""
        return f"{self.endpoint.host}:{self.endpoint.port}"


class Door:
    """Opens connections for one user, with the credentials that worked last.

    What one of them finds out about the server holds for all.
    """

    def __init__(
        self, settings: Settings, credentials: AnyCredentials, client: str, pace: Pace
    ) -> None:
        self._settings = settings
        self._pace = pace
        self.credentials = credentials
        self.client = client
        self._learnt = Learnt()

    async def open(self, *, in_turn: bool = True) -> Connection:
        """A connection that is logged in; in_turn: at the pace of all logins. Raises ImapError."""
        settings = self._settings
        if in_turn:
            await self._pace.turn()
        connection = await Connection.open(
            settings.endpoint,
            settings.ssl_context,
            settings.connect_seconds,
            silence=settings.silence_seconds,
            learnt=self._learnt,
        )
        try:
            await connection.login(self.credentials, self.client)
        except BaseException as error:
            if isinstance(error, AuthenticationFailed):  # why, the client is not told
                log.info("login_refused", code=error.code, text=error.text)
            await connection.close()
            raise
        return connection
