"""A real Dovecot, started as a child on free loopback ports with throw-away mailboxes."""

from __future__ import annotations

import imaplib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.certificates import make_certificates
from tests.servers.dovecot_config import Options, Ports, render
from tests.servers.process import Child, ServerFailedError, find_program, free_port

DOMAIN = "example.test"
COMMAND_SECONDS = 30.0
START_ATTEMPTS = 3


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


class Dovecot:
    """One server with all its files in a directory of its own.

    Use as a context manager, or call `start` and `stop`; `stop` keeps the mail and the ports, so a
    further `start` is the same server after a restart. `close` removes everything.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        # Not pytest's tmp_path: the path of a Unix socket may have 107 octets, and the server's
        # own users must be able to reach it.
        self.directory = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.directory.chmod(0o755)
        for name in ("run", "state", "home", "users"):
            (self.directory / name).mkdir()
        (self.directory / "home").chmod(0o777)
        self._certificates = make_certificates(self.directory)
        self._names = count(1)
        self._child: Child | None = None
        self.ports = _free_ports()

    @property
    def authority(self) -> Path:
        """The PEM file of the certificate authority a client of `ports.imaps` has to trust."""
        return self._certificates.authority

    def ssl_context(self) -> ssl.SSLContext:
        """Return a context that trusts this server, and nothing else."""
        return ssl.create_default_context(cafile=str(self.authority))

    # --- Life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server and wait for its greeting.

        Raises:
            ServerFailedError: it did not come up.
        """
        _require_known_version()
        for attempt in range(1, START_ATTEMPTS + 1):
            config = self.directory / "dovecot.conf"
            config.write_text(render(self.options, self.directory, self.ports, self._certificates))
            command = [find_program("dovecot"), "-F", "-c", str(config)]
            self._child = Child(command, self.directory / "log")
            try:
                self._child.wait_until(self._greets)
                return
            except ServerFailedError as error:
                taken = "Address already in use" in error.log
                if not taken or attempt == START_ATTEMPTS:
                    raise
                self.ports = _free_ports()

    def stop(self) -> None:
        """End the server; connections are cut, the mail stays."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def close(self) -> None:
        """End the server and remove its files."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def log(self, lines: int = 80) -> str:
        """Return the last lines of the server's log."""
        text = (self.directory / "log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def doveadm(self, *arguments: str) -> str:
        """Run `doveadm` on this server and return what it printed.

        `doveadm("kick", username)` cuts a user's connections.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        config = str(self.directory / "dovecot.conf")
        command = [find_program("doveadm"), "-c", config, *arguments]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=COMMAND_SECONDS
        )
        return done.stdout

    # --- Users and mail ------------------------------------------------------------------------

    def add_user(self, name: str | None = None, password: str = "correct horse") -> User:
        """Create an account: `name` as given or, without one, a name nobody has had before."""
        local = name or f"user{next(self._names)}"
        user = User(local if "@" in local else f"{local}@{DOMAIN}", password)
        entry = f"{user.username}:{{PLAIN}}{user.password}::::::\n"
        (self.directory / "users" / user.username).write_text(entry)
        return user

    @contextmanager
    def imap(self, user: User) -> Iterator[imaplib.IMAP4]:
        """Give a logged-in connection of the standard library's client."""
        client = imaplib.IMAP4("127.0.0.1", self.ports.imap, timeout=COMMAND_SECONDS)
        try:
            client.login(user.username, user.password)
            yield client
        finally:
            client.shutdown()

    def create(self, user: User, *mailboxes: str) -> None:
        """Create mailboxes (names as on the wire, in modified UTF-7)."""
        with self.imap(user) as client:
            for mailbox in mailboxes:
                _ok(client.create(quoted(mailbox)))
                _ok(client.subscribe(quoted(mailbox)))

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

    def deliver(self, user: User, octets: bytes, sender: str = f"sender@{DOMAIN}") -> None:
        """Deliver one message to the inbox as a mail transfer agent does (RFC 2033)."""
        with smtplib.LMTP("127.0.0.1", self.ports.lmtp) as client:
            client.sendmail(sender, [user.username], octets)

    def _greets(self) -> bool:
        try:
            address = ("127.0.0.1", self.ports.imap)
            with socket.create_connection(address, timeout=COMMAND_SECONDS) as client:
                return client.recv(4) == b"* OK"
        except OSError:
            return False


def _require_known_version() -> None:
    """Raise ServerFailedError for a Dovecot that does not read the configuration of 2.3."""
    command = [find_program("dovecot"), "--version"]
    version = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if not version.startswith("2.3."):
        raise ServerFailedError("Dovecot 2.3 is needed", f"this is {version}")


def quoted(text: str) -> str:
    """Return `text` as a quoted string (RFC 9051 §4.3), which imaplib leaves to its caller."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _append(client: imaplib.IMAP4, mailbox: str, message: Message) -> int:
    date = None
    if message.internaldate is not None:
        date = imaplib.Time2Internaldate(message.internaldate)
    flags = f"({' '.join(message.flags)})"
    answer = _ok(client.append(quoted(mailbox), flags, date or "", message.octets))
    uid = re.search(rb"APPENDUID \d+ (\d+)", answer[0])
    if uid is None:
        raise RuntimeError(f"APPEND answered without a UID: {answer!r}")
    return int(uid[1])


def _ok(answer: tuple[str, list[bytes]]) -> list[bytes]:
    status, data = answer
    if status != "OK":
        raise RuntimeError(f"the server answered {status} {data!r}")
    return data


def _free_ports() -> Ports:
    return Ports(free_port(), free_port(), free_port())
