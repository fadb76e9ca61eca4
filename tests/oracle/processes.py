"""Gateways as processes that are started, ended, killed and looked after."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import time
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tests.oracle.launch import serve
from tests.oracle.violations import Violation

START_SECONDS = 30.0
STOP_SECONDS = 30.0
_PAUSE_SECONDS = 0.01
_MOST_OCTETS = 500 << 20
_MOST_DESCRIPTORS = 400
# Most of the start of a gateway is to load its code: this is done once, and each is a fork of that.
_LOADED = multiprocessing.get_context("forkserver")
_LOADED.set_forkserver_preload(["tests.oracle.launch"])
_READY = re.compile(rb"Session: http://([^:]+):(\d+)/")


class Process:
    """One gateway: the same one, by its name, however often it is started again.

    `started_at` is when that was done last (time.monotonic), `ready_at` when it was found to be
    ready.
    """

    def __init__(self, name: str, directory: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.starts = 0
        self._log = directory / f"{name}.log"
        self._log.touch()
        self._environment = environment
        self._process: ForkServerProcess | None = None
        self._address: tuple[str, int] | None = None
        self._log_start = 0
        self.started_at = self.ready_at = float("-inf")
        self._read = 0

    @property
    def running(self) -> bool:
        """Whether it was started and not ended since."""
        return self._process is not None

    def start(self) -> None:
        """Start it, without waiting for it to be ready."""
        self._address = None
        self.starts += 1
        self._log_start = self._log.stat().st_size
        self.started_at = time.monotonic()
        self._process = _LOADED.Process(target=serve, args=(self._log, self._environment))
        self._process.start()

    def address(self) -> tuple[str, int]:
        """Where it listens; waits until it does. Raises Violation (I9)."""
        deadline = time.monotonic() + START_SECONDS
        while self._address is None:
            with self._log.open("rb") as log:
                log.seek(self._log_start)
                ready = _READY.search(log.read())
            if ready:
                self._address = (ready[1].decode(), int(ready[2]))
                self.ready_at = time.monotonic()
            elif self._process is None or not self._process.is_alive():
                raise Violation("I9", f"{self.name} does not start", self.tail())
            elif time.monotonic() > deadline:
                raise Violation("I9", f"{self.name} is not ready in time", self.tail())
            else:
                time.sleep(_PAUSE_SECONDS)
        return self._address

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it. Raises Violation (I9) if it does not, or not well."""
        if self._process is None:
            return
        if number == signal.SIGTERM:
            self.address()  # until then it would end without a word
        process, self._process = self._process, None
        _send(process, number)
        process.join(STOP_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
            raise Violation("I9", f"{self.name} does not stop", self.tail())
        if process.exitcode != (0 if number == signal.SIGTERM else -number):
            raise Violation("I9", f"{self.name} ended with {process.exitcode}", self.tail())

    def shoot(self) -> None:
        """SIGKILL, from whatever thread, and without waiting for its end; stop() does that."""
        process = self._process
        if process is not None:
            _send(process, signal.SIGKILL)

    def check(self) -> None:
        """Raise Violation (I9) for what it logged, if it ended, or if it grew too much."""
        if self._process is not None:
            if (code := self._process.exitcode) is not None:
                raise Violation("I9", f"{self.name} ended by itself with {code}", self.tail())
            self._check_size(Path("/proc") / str(self._process.pid))
        with self._log.open("rb") as log:
            log.seek(self._read)
            lines = log.read().splitlines(keepends=True)
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self._read += len(line)
            if what := _trouble(line):
                raise Violation("I9", f"{self.name} logged", what[:3000])

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def _check_size(self, process: Path) -> None:
        status = (process / "status").read_text()
        resident = int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) << 10
        descriptors = len(list((process / "fd").iterdir()))
        if resident > _MOST_OCTETS or descriptors > _MOST_DESCRIPTORS:
            raise Violation("I9", f"{self.name}: {resident} octets, {descriptors} descriptors")


def _send(process: ForkServerProcess, number: signal.Signals) -> None:
    """A signal, unless it has ended."""
    if process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _trouble(line: bytes) -> str:
    """What is wrong in a line of a log, "" if nothing."""
    text = line.decode(errors="replace").rstrip()
    try:
        record: dict[str, Any] = json.loads(text)
    except ValueError:
        return "" if _READY.search(line) else text
    bad = record.get("level") in ("error", "critical") or "exception" in record
    return "\n".join((text, str(record.get("exception", "")))) if bad else ""
