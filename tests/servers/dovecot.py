"""A real Dovecot, started as a child on free loopback ports with throw-away mailboxes."""

from __future__ import annotations

import shutil
import smtplib
import ssl
import subprocess
import tempfile
from dataclasses import fields
from itertools import count
from pathlib import Path

from tests.servers.certificates import make_certificates
from tests.servers.dovecot_config import Options, Ports, global_acl, render, sendmail
from tests.servers.mail_server import (
    COMMAND_SECONDS,
    DOMAIN,
    MailServer,
    Message,
    User,
    greets,
    quoted,
    take_outbox,
)
from tests.servers.process import Child, ServerFailedError, find_program, free_port

__all__ = ["DOMAIN", "Dovecot", "Message", "User", "quoted"]

START_ATTEMPTS = 3


class Dovecot(MailServer):
    """One Dovecot; `Options` says which."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        # Not pytest's tmp_path: the path of a Unix socket may have 107 octets, and the server's
        # own users must be able to reach it.
        self.directory = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.directory.chmod(0o755)
        for name in ("run", "state", "home", "users", "outbox"):
            (self.directory / name).mkdir()
        for name in ("home", "outbox"):
            (self.directory / name).chmod(0o777)
        (self.directory / "sendmail").write_text(sendmail(self.directory))
        (self.directory / "sendmail").chmod(0o755)
        self._certificates = make_certificates(self.directory)
        self._names = count(1)
        self._child: Child | None = None
        self.ports = _free_ports()

    @property
    def imap_port(self) -> int:
        """The port on 127.0.0.1 where it listens without TLS."""
        return self.ports.imap

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
            (self.directory / "acl").write_text(global_acl(self.options))
            command = [find_program("dovecot"), "-F", "-c", str(config)]
            self._child = Child(command, self.directory / "log")
            try:
                self._child.wait_until(lambda: greets(self.ports.imap))
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

    def deliver(self, user: User, octets: bytes, sender: str = f"sender@{DOMAIN}") -> None:
        """Deliver one message to the inbox as a mail transfer agent does (RFC 2033)."""
        with smtplib.LMTP("127.0.0.1", self.ports.lmtp) as client:
            client.sendmail(sender, [user.username], octets)

    def outbox(self) -> list[bytes]:
        """Return the messages that Sieve scripts have sent, oldest first, and forget them."""
        return take_outbox(self.directory)


def _require_known_version() -> None:
    """Raise ServerFailedError for a Dovecot that does not read the configuration of 2.3."""
    command = [find_program("dovecot"), "--version"]
    version = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if not version.startswith("2.3."):
        raise ServerFailedError("Dovecot 2.3 is needed", f"this is {version}")


def _free_ports() -> Ports:
    return Ports(*(free_port() for _ in fields(Ports)))
