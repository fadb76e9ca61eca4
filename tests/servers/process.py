"""A server as a child process: started, waited for, stopped with all its children."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

Ready = TypeVar("Ready")

READY_SECONDS = 20.0
STOP_SECONDS = 5.0
RETRY_SECONDS = 0.02

# As many descriptors as the system lets us have (hundreds of connections are tested), and gone
# when the process that started it is gone, however that one ended.
_LAUNCH = 'ulimit -n "$(ulimit -H -n)"; exec setpriv --pdeathsig TERM "$@"'


class ServerFailedError(RuntimeError):
    """A server did not come up or ended early; `log` is what it had to say."""

    def __init__(self, reason: str, log: str) -> None:
        super().__init__(f"{reason}\n{log}")
        self.log = log


def find_program(name: str) -> str:
    """Return the path of a server program, also where a user's PATH has no sbin."""
    path = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    if path is None:
        raise FileNotFoundError(f"{name} is not installed")
    return path


_given: set[int] = set()


def free_port() -> int:
    """Return a port that was free on 127.0.0.1 a moment ago, each at most once."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


class Child:
    """One running server with its log file."""

    def __init__(self, command: list[str], log_file: Path) -> None:
        self._log_file = log_file
        with log_file.open("ab") as output:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _LAUNCH, "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether the server's first process is alive."""
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], Ready | None]) -> Ready:
        """Return the first true value that `ready` gives; stop the server if that takes too long.

        Raises:
            ServerFailedError: the server ended, or was not ready in `READY_SECONDS`.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not (result := ready()):
            if not self.running:
                raise ServerFailedError("the server ended while starting", self.log())
            if time.monotonic() > deadline:
                self.stop()
                raise ServerFailedError("the server did not become ready", self.log())
            time.sleep(RETRY_SECONDS)
        return result

    def stop(self) -> None:
        """End the server and everything it started."""
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def kill(self) -> None:
        """End the server and everything it started as a crash does."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """Let the server do nothing, while its connections stay open, until it is thawed."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the server go on."""
        self._signal(signal.SIGCONT)

    def log(self, lines: int = 80) -> str:
        """Return the last lines of what the server logged."""
        text = self._log_file.read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class Server(ABC):
    """A server with all its files, one of which is `log`, in a directory of its own."""

    directory: Path

    @abstractmethod
    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            ServerFailedError: it did not come up.
        """

    @abstractmethod
    def close(self) -> None:
        """End the server and remove its files."""

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
