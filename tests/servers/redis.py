"""A real Redis, started as a child on a free loopback port, that keeps on disk what it is told."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import Child, Server, find_program, free_port

COMMAND_SECONDS = 10.0


class Redis(Server):
    """One server; `url` is what the gateway's `--store` takes.

    Attributes:
        options: further settings of redis.conf, as `{"maxmemory-policy": "allkeys-lru"}`.
    """

    def __init__(self, options: dict[str, str] | None = None) -> None:
        self.options = options or {}
        self.directory = Path(tempfile.mkdtemp(prefix="redis-"))
        self.port = free_port()
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The address of the first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            ServerFailedError: it did not come up.
        """
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.directory),
            "save": "",
            "appendonly": "no",
            **self.options,
        }
        flags = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._child = Child([find_program("redis-server"), *flags], self.directory / "log")
        self._child.wait_until(self._answers)

    def stop(self) -> None:
        """End the server; what it held in memory is lost."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def kill(self) -> None:
        """End the server as a crash does; what it had not written to disk is lost."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the server do nothing for a while, as a machine under pressure or a stopped one."""
        if self._child is None:
            raise RuntimeError("the server does not run")
        self._child.freeze()
        try:
            yield
        finally:
            self._child.thaw()

    def save(self) -> None:
        """Write what the server holds to disk, from where it is read at the next start."""
        self._command(b"SAVE")

    def close(self) -> None:
        """End the server and remove its files."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def flush(self) -> None:
        """Forget everything, as a cache may at any time."""
        self._command(b"FLUSHALL")

    def _answers(self) -> bool:
        try:
            return self._command(b"PING") == b"+PONG\r\n"
        except OSError:
            return False

    def _command(self, line: bytes) -> bytes:
        address = ("127.0.0.1", self.port)
        with socket.create_connection(address, timeout=COMMAND_SECONDS) as client:
            client.sendall(line + b"\r\n")
            return client.recv(100)
