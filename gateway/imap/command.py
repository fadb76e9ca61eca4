"""RFC 9051 §2.2.1: what a command is to the connection that runs it, and the other way round."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from gateway.imap.errors import CommandRefused
from gateway.imap.quirks import Quirk
from gateway.imap.wire.capability import Capabilities
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged, Untagged

T = TypeVar("T")


class Command(Generic[T]):
    """One command: its arguments, the responses it takes, its result. Used once."""

    name: ClassVar[str]
    """The verb, for errors and logs."""
    selects: ClassVar[bool] = False
    """Whether its result becomes `Connection.selected` (EXAMINE, SELECT, CLOSE, UNSELECT)."""
    bulk: ClassVar[bool] = False
    """Whether `take` reads rows straight from the stream."""
    patient: ClassVar[bool] = False
    """Whether the server may be silent for as long as it likes (IDLE)."""
    conclusion: ClassVar[bytes] = b""
    """What `Commander.conclude` sends to end it (DONE)."""
    tag: bytes = b""
    """Set when it is sent; answers may carry it (RFC 4466 §2.6.2)."""

    def encode(self) -> Encoded:
        """The verb and its arguments."""
        raise NotImplementedError

    def collect(self, response: Untagged) -> bool:
        """Take an untagged response; False when it is not this command's own."""
        return False

    def take(self, chunk: bytes) -> bytes:
        """Take complete rows off the start of a chunk; returns the rest. For `bulk` commands."""
        return chunk

    def answer(self, challenge: bytes) -> bytes | None:
        """What to send at a continuation request, CRLF included, or None."""
        return None

    def finish(self, tagged: Tagged) -> T:
        """The result. Raises CommandRefused."""
        raise NotImplementedError

    def unclaimed(self) -> Sequence[Untagged]:
        """Responses that were taken and turned out not to be this command's own."""
        return ()

    def check(self, tagged: Tagged, partial: object = None) -> None:
        """Raises CommandRefused unless the server said OK."""
        if tagged.status != "OK":
            raise CommandRefused(self.name, tagged.status, tagged.code, tagged.text.text, partial)


class Commander(Protocol):
    """A connection, as the functions of gateway.imap.commands see it."""

    capabilities: Capabilities
    enabled: Capabilities
    """The extensions that ENABLE switched on (RFC 5161)."""
    server_name: str | None
    """The name in the server's ID (RFC 2971), lower case."""
    quirks: set[Quirk]
    """What this server was found to do."""

    @property
    def max_set(self) -> int:
        """Octets of a UID set in one command."""
        ...

    def conclude(self, command: Command[Any]) -> None:
        """Send the conclusion of a command that runs."""

    async def run(self, command: Command[T], *, timeout: float = ...) -> T:
        """Run one command."""
        ...

    async def run_all(
        self, *commands: Command[Any], timeout: float = ...
    ) -> list[Any | CommandRefused]:
        """Run commands that do not depend on each other, in one round trip."""
        ...

    def stream(
        self, commands: Iterable[Command[T]], *, window: int = ..., timeout: float = ...
    ) -> AsyncIterator[T]:
        """Run many commands, some of them at a time."""
        ...
