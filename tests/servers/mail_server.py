"""RFC 9051: what tests do with any real IMAP server: users, mailboxes and messages."""

from __future__ import annotations

import imaplib
import re
import socket
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.servers.process import Server

DOMAIN = "example.test"
COMMAND_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class User:
    """An account of the server: the login name and its password."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message to append: its octets, its flags and keywords, and when it was received."""

    octets: bytes
    flags: tuple[str, ...] = ()
    internaldate: datetime | None = None


class MailServer(Server):
    """One server with all its files in a directory of its own.

    Use as a context manager, or call `start` and `stop`; `stop` keeps the mail and the ports, so a
    further `start` is the same server after a restart. `close` removes everything.
    """

    @property
    @abstractmethod
    def imap_port(self) -> int:
        """The port on 127.0.0.1 where it listens without TLS."""

    # --- Life ----------------------------------------------------------------------------------

    @abstractmethod
    def stop(self) -> None:
        """End the server; connections are cut, the mail stays."""

    # --- Users and mail ------------------------------------------------------------------------

    @abstractmethod
    def add_user(self, name: str | None = None) -> User:
        """Create an account: `name` as given or, without one, a name nobody has had before."""

    @contextmanager
    def imap(self, user: User) -> Iterator[imaplib.IMAP4]:
        """Give a logged-in connection of the standard library's client."""
        client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=COMMAND_SECONDS)
        # imaplib writes a literal and its CRLF one after the other; Cyrus delays acknowledgements.
        client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            client.login(user.username, user.password)
            yield client
        finally:
            client.shutdown()

    def create(self, user: User, *mailboxes: str) -> None:
        """Create mailboxes (names as on the wire, in modified UTF-7)."""
        with self.imap(user) as client:
            for mailbox in mailboxes:
                expect_ok(client.create(quoted(mailbox)))
                expect_ok(client.subscribe(quoted(mailbox)))

    def append(
        self,
        user: User,
        mailbox: str,
        octets: bytes,
        flags: Iterable[str] = (),
        internaldate: datetime | None = None,
    ) -> int:
        """Append one message and return its UID (RFC 4315)."""
        return self.append_all(user, mailbox, [Message(octets, tuple(flags), internaldate)])[0]

    def append_all(self, user: User, mailbox: str, messages: Iterable[Message]) -> list[int]:
        """Append messages in order over one connection and return their UIDs."""
        with self.imap(user) as client:
            return [_append(client, mailbox, message) for message in messages]


def greets(port: int) -> bool:
    """Whether an IMAP server answers at a port on 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=COMMAND_SECONDS) as client:
            return client.recv(4) == b"* OK"
    except OSError:
        return False


def quoted(text: str) -> str:
    """Return `text` as a quoted string (RFC 9051 §4.3), which imaplib leaves to its caller."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def expect_ok(answer: tuple[str, list[bytes]]) -> list[bytes]:
    """Return the data of an answer.

    Raises:
        RuntimeError: the server did not answer OK.
    """
    status, data = answer
    if status != "OK":
        raise RuntimeError(f"the server answered {status} {data!r}")
    return data


def _append(client: imaplib.IMAP4, mailbox: str, message: Message) -> int:
    date = None
    if message.internaldate is not None:
        date = imaplib.Time2Internaldate(message.internaldate)
    flags = f"({' '.join(message.flags)})"
    answer = expect_ok(client.append(quoted(mailbox), flags, date or "", message.octets))
    uid = re.search(rb"APPENDUID \d+ (\d+)", answer[0])
    if uid is None:
        raise RuntimeError(f"APPEND answered without a UID: {answer!r}")
    return int(uid[1])


def take_outbox(base: Path) -> list[bytes]:
    """Return what is in `outbox`, oldest first, and empty it."""
    files = sorted((base / "outbox").glob("[0-9]*"))
    messages = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    return messages
