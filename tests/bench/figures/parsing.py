"""RFC 8621 §4.9: messages of a list archive through Email/parse, beside other Python parsers."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from tests.bench.mailboxes import PROFILES, available
from tests.bench.parsers import OTHERS, OURS, STANDARD, Parse
from tests.bench.report import Figure, Mark
from tests.bench.stage import Stage

_MESSAGES = 17_885
_COMPARED = 2_000
_ROUNDS = 5
_ALONE_ROUNDS = 3
_INSTALL_SECONDS = 300.0

Maker = Callable[[], Parse]


async def run(stage: Stage) -> list[Figure]:
    """Measure in processes of their own, a slice of the messages by one after the other."""
    profile = PROFILES["list20k"]
    if not available(profile):
        return []
    letters = [letter.message.octets for letter in profile.source(0, _MESSAGES)]
    with tempfile.TemporaryDirectory() as directory, ExitStack() as workers:
        base = Path(directory)
        file = base / "messages"
        # Every n-th, so that all years are in each slice.
        ordered = [octets for first in range(9) for octets in letters[first::9]]
        file.write_bytes(pickle.dumps(ordered))
        python, missing = _install(base / "venv")
        makers = [*OURS, *STANDARD, *(other for other in OTHERS if other not in missing)]
        running = {
            maker: workers.enter_context(
                _worker(python if maker in OTHERS else sys.executable, maker, file)
            )
            for maker in makers
        }
        speeds, failures = _compare(running)
        whole = [_speed(running[OURS[0]], 0, len(ordered))[0] for _ in range(_ALONE_ROUNDS)]
    alone = speeds.pop(OURS[1])
    notes = [f"the median message has {median(map(len, letters)):.0f} octets"]
    notes += [f"{OTHERS[maker]} could not be installed" for maker in missing]
    return [
        Figure("Email/parse of the archive, one core", "msg/s", whole, Mark(">=", 1500), (*notes,)),
        Figure("- structure alone", "us/msg", [1e6 / speed for speed in alone], Mark("<=", 150)),
        *(_figure(maker, speed, failures[maker]) for maker, speed in speeds.items()),
    ]


def _compare(
    workers: dict[Maker, subprocess.Popen[str]],
) -> tuple[dict[Maker, list[float]], dict[Maker, int]]:
    """Messages a second of each in each round, and how many messages failed."""
    speeds: dict[Maker, list[float]] = {maker: [] for maker in workers}
    failures = dict.fromkeys(workers, 0)
    step = _COMPARED // _ROUNDS
    for worker in workers.values():
        _speed(worker, 0, 50)
    for number in range(_ROUNDS):
        for maker, worker in workers.items():
            speed, failed = _speed(worker, number * step, (number + 1) * step)
            speeds[maker].append(speed)
            failures[maker] += failed
    return speeds, failures


def _speed(worker: subprocess.Popen[str], start: int, stop: int) -> tuple[float, int]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{start} {stop}\n")
    worker.stdin.flush()
    seconds, failed = worker.stdout.readline().split()
    return (stop - start) / float(seconds), int(failed)


@contextmanager
def _worker(python: str, maker: Maker, file: Path) -> Iterator[subprocess.Popen[str]]:
    command = [python, "-m", "tests.bench.parsers", maker.__name__, str(file)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    ) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def _install(directory: Path) -> tuple[str, list[Maker]]:
    """A Python with the other parsers, which is thrown away, and those that could not be had."""
    venv.create(directory, with_pip=True)
    python = str(directory / "bin" / "python")
    missing = []
    for maker, requirement in OTHERS.items():
        command = [python, "-m", "pip", "install", "--quiet", requirement]
        done = subprocess.run(command, capture_output=True, timeout=_INSTALL_SECONDS, check=False)
        if done.returncode:
            missing.append(maker)
    return python, missing


def _figure(maker: Maker, speeds: list[float], failed: int) -> Figure:
    name = OTHERS.get(maker, "" if maker in OURS else "email")
    shown = f"- {maker.__name__}" + (f" ({name})" if name else "")
    notes = (f"{failed} of {_COMPARED} could not be parsed",) if failed else ()
    return Figure(f"{shown}, {_COMPARED} messages", "msg/s", speeds, None, notes)
