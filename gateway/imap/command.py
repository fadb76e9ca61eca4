"""RFC 9051 §2.2.1: what a command is to the connection that runs it, and the other way round."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from gateway.imap.errors import MESSAGELIMIT, CommandRefused
from gateway.imap.quirks import Quirk
from gateway.imap.wire.capability import Capabilities
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Code, Tagged, Untagged, number

if TYPE_CHECKING:
    from gateway.imap.commands.examine import Selected
    from gateway.imap.connection import Endpoint

T = TypeVar("T")


class Command(Generic[T]):
    """One command: its arguments, the responses it takes, its result. Used once."""

    name: ClassVar[str]
    """The verb, for errors and logs."""
    selects: ClassVar[bool] = False
    """Whether its result becomes `Connection.selected` (EXAMINE, SELECT, CLOSE, UNSELECT)."""
    bulk: ClassVar[bool] = False
    """Whether `take` reads rows straight from the stream."""
    ends: ClassVar[bool] = False
    """Whether the server says BYE because of it (LOGOUT)."""
    may_lack: ClassVar[bool] = False
    """Whether a result without what the server refuses is of use (FETCH)."""
    patient: ClassVar[bool] = False
    """Whether the server may be silent for as long as it likes (IDLE)."""
    stores: ClassVar[bool] = False
    """Whether it adds to what the user stores, so that OVERQUOTA is about that (RFC 9208 §4.3)."""
    conclusion: ClassVar[bytes] = b""
    """What `Commander.conclude` sends to end it (DONE)."""
    tag: bytes = b""
    """Set when it is sent; answers may carry it (RFC 4466 §2.6.2)."""
    _limit: Code | None = None

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

    def smaller(self, refused: CommandRefused) -> Sequence[Command[T]] | None:
        """Commands that do what a refusal left undone; None when the refusal stands."""
        return None

    def merged(self, parts: Sequence[T], lacks: bool) -> T:
        """One result from those of the smaller commands and what came before the refusal.

        lacks: something was refused to the last.
        """
        raise NotImplementedError

    def check(self, tagged: Tagged, partial: object = None) -> None:
        """Raises CommandRefused unless the server said OK, and did all of it."""
        code = self._limit or tagged.text.code
        limited = code is not None and code.name == MESSAGELIMIT
        if tagged.status == "OK" and not limited:
            return
        numbers = tuple(filter(None, map(number, code.arguments))) if code is not None else ()
        name = code.name if code is not None else None
        raise CommandRefused(self.name, tagged.status, name, tagged.text.text, partial, numbers)

    def note_limit(self, response: Untagged) -> bool:
        """RFC 9738 §3.1: the limit may come untagged, where the tagged line has another code."""
        if response.name not in ("OK", "NO") or response.text.code is None:
            return False
        if response.text.code.name != MESSAGELIMIT:
            return False
        self._limit = response.text.code
        return True


class Commander(Protocol):
    """A connection, as the functions of gateway.imap.commands see it."""

    endpoint: Endpoint
    """Where the server listens."""
    capabilities: Capabilities
    enabled: Capabilities
    """The extensions that ENABLE switched on (RFC 5161)."""
    selected: Selected | None
    """The mailbox that is open."""
    server_name: str | None
    """The name in the server's ID (RFC 2971), lower case."""
    quirks: set[Quirk]
    """What this server was found to do."""

    @property
    def max_set(self) -> int:
        """Octets of a UID set in one command."""
        ...

    @property
    def max_messages(self) -> int | None:
        """Messages that one command may be about (RFC 9738), None without such a limit."""
        ...

    @property
    def has_modseqs(self) -> bool:
        """RFC 7162 §3.1.2: whether the selected mailbox keeps mod-sequences."""
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
