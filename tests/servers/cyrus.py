"""A real Cyrus IMAP, started as a child on a free loopback port with throw-away mailboxes."""

from __future__ import annotations

import os
import pwd
import shutil
import smtplib
import tempfile
from dataclasses import fields
from itertools import count
from pathlib import Path

from tests.servers.cyrus_config import ADMIN, Options, Ports, cyrus_conf, imapd_conf, sendmail
from tests.servers.mail_server import (
    DOMAIN,
    MailServer,
    User,
    expect_ok,
    greets,
    quoted,
    take_outbox,
)
from tests.servers.process import Child, ServerFailedError, find_program, free_port

START_ATTEMPTS = 3
SPECIAL_USE = ("Drafts", "Sent", "Trash", "Junk", "Archive")
_PROGRAMS = ("master", "imapd", "idled", "ctl_cyrusdb", "lmtpd", "timsieved")
_MEMORY = Path("/dev/shm")
_ROOM_OCTETS = 1 << 28
_UNPRIVILEGED = "mail"  # whom Debian has on every machine


class Cyrus(MailServer):
    """One Cyrus; `Options` says which."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        # Not pytest's tmp_path, for the reasons that Dovecot has.
        self.directory = Path(tempfile.mkdtemp(prefix="cyrus-"))
        self.directory.chmod(0o755)
        self._data = _data_directory()
        for name in ("conf/db", "conf/socket", "mail", "proc", "lock", "run", "sieve"):
            (self._data / name).mkdir(parents=True)
        (self.directory / "outbox").mkdir()
        _copy_programs(_unpacked(), self.directory / "bin")
        self._names = count(1)
        self._child: Child | None = None
        self.ports = _free_ports()

    @property
    def imap_port(self) -> int:
        """The port on 127.0.0.1 where it listens without TLS."""
        return self.ports.imap

    # --- Life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server and wait for its greeting.

        Raises:
            ServerFailedError: it did not come up.
        """
        for attempt in range(1, START_ATTEMPTS + 1):
            command = self._configure()
            self._child = Child(command, self.directory / "log")
            try:
                self._child.wait_until(lambda: greets(self.ports.imap))
                return
            except ServerFailedError:  # what was wrong, Cyrus tells to syslog only
                self.stop()
                if attempt == START_ATTEMPTS:
                    raise
                self.ports = _free_ports()

    def _configure(self) -> list[str]:
        """Write the configuration and return the command that starts the server."""
        base, programs = self.directory, self.directory / "bin"
        (base / "imapd.conf").write_text(imapd_conf(self.options, base, self._data))
        (base / "cyrus.conf").write_text(cyrus_conf(self.options, base, programs, self.ports))
        (base / "sendmail").write_text(sendmail(base))
        (base / "sendmail").chmod(0o755)
        user = pwd.getpwuid(os.geteuid()).pw_name
        as_user: list[str] = []
        if os.geteuid() == 0:  # as which Cyrus refuses to run
            user = _UNPRIVILEGED
            _give(base, user)
            _give(self._data, user)
            ids = (f"--reuid={user}", f"--regid={user}", "--clear-groups")
            as_user = [find_program("setpriv"), *ids, "--pdeathsig=TERM"]
        environment = (f"CYRUS_USER={user}", f"LD_LIBRARY_PATH={programs}")
        options = ("-D", "-C", f"{base}/imapd.conf", "-M", f"{base}/cyrus.conf")
        # -D: stay in the foreground.
        master = [f"{programs}/master", *options, "-p", f"{self._data}/run/master.pid"]
        return [*as_user, find_program("env"), *environment, *master]

    def stop(self) -> None:
        """End the server; connections are cut, the mail stays."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def close(self) -> None:
        """End the server and remove its files."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self._data, ignore_errors=True)

    # --- Users and mail ------------------------------------------------------------------------

    def add_user(self, name: str | None = None) -> User:
        """Create an account: `name` as given or, without one, a name nobody has had before."""
        local = name or f"user{next(self._names)}"
        domains = self.options.virtdomains != "off"
        user = User(f"{local}@{DOMAIN}" if domains and "@" not in local else local, "any")
        separator = self.options.separator
        with self.imap(User(ADMIN, "any")) as client:
            expect_ok(client.create(quoted(f"user{separator}{user.username}")))
        if self.options.special_use:
            with self.imap(user) as client:
                for use in SPECIAL_USE:
                    mailbox = quoted(self.options.prefix + use)
                    # imaplib's create() takes no further arguments (RFC 6154 §3).
                    expect_ok(client._simple_command("CREATE", mailbox, f"(USE (\\{use}))"))
                    expect_ok(client.subscribe(mailbox))
        return user

    def deliver(self, user: User, octets: bytes, sender: str = f"sender@{DOMAIN}") -> None:
        """Deliver one message to the inbox as a mail transfer agent does (RFC 2033)."""
        with smtplib.LMTP("127.0.0.1", self.ports.lmtp) as client:
            client.sendmail(sender, [user.username], octets)

    def outbox(self) -> list[bytes]:
        """Return the messages that Sieve scripts have sent, oldest first, and forget them."""
        return take_outbox(self.directory)


def _free_ports() -> Ports:
    return Ports(*(free_port() for _ in fields(Ports)))


def _data_directory() -> Path:
    """Make a directory for the mail, in memory if there is room.

    Cyrus waits for the disk with each message, and can not be told not to.
    """
    has_room = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)
    has_room = has_room and shutil.disk_usage(_MEMORY).free > _ROOM_OCTETS
    directory = Path(tempfile.mkdtemp(prefix="cyrus-", dir=_MEMORY if has_room else None))
    directory.chmod(0o755)
    return directory


def _unpacked() -> Path:
    """Return where tests/run has unpacked the packages.

    Raises:
        FileNotFoundError: it has not.
    """
    given = os.environ.get("JMAP_GATEWAY_CYRUS_DIR")
    base = Path(given) if given else Path.home() / ".cache" / "jmap-gateway-cyrus"
    if not (base / "libraries").exists():
        raise FileNotFoundError(f"Cyrus is not unpacked in {base}: tests/run does that")
    return base


def _copy_programs(unpacked: Path, target: Path) -> None:
    """Put programs and libraries where the server's own user can reach them, and no other."""
    target.mkdir()
    for name in _PROGRAMS:
        shutil.copy(unpacked / "usr/lib/cyrus/bin" / name, target)
    for library in (unpacked / "usr/lib").glob("*/libcyrus*.so.0"):
        shutil.copy(library, target)


def _give(directory: Path, user: str) -> None:
    """Make a user the owner of a directory and all that is in it."""
    for path in (directory, *directory.rglob("*")):
        shutil.chown(path, user, user)
