"""The command: tests/oracle/run --seeds 1-20 --ops 500 [--step NAME] [--store KIND] [--jobs K]."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
import traceback
from collections.abc import Collection
from pathlib import Path

from tests.oracle import steps
from tests.oracle.invariants import PATIENCE_SECONDS
from tests.oracle.session import CHECKPOINT_OPERATIONS, Run
from tests.oracle.shrink import shrunk
from tests.oracle.stores import StoreKind
from tests.oracle.system import System
from tests.oracle.violations import Violation

_TAIL = 40


def main() -> int:
    """Run all seeds of all steps; the exit status is 1 if one of them fails."""
    options = _options()
    queue: multiprocessing.Queue[tuple[str, str] | None] = multiprocessing.Queue()
    failed = multiprocessing.Value("i", 0)
    names = options.step or ["everything"]
    tasks = [(name, seed) for name in names for seed in _seeds(options.seeds)]
    for task in tasks:
        queue.put(task)
    jobs = min(options.jobs, len(tasks))
    for _ in range(jobs):
        queue.put(None)
    workers = [
        multiprocessing.Process(target=_work, args=(queue, failed, options)) for _ in range(jobs)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    broken = any(worker.exitcode for worker in workers)
    print(f"{len(tasks)} runs, {failed.value} failed", flush=True)
    return 1 if broken or failed.value else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/oracle/run", description=__doc__)
    parser.add_argument("--seeds", default="1-20", help="A-B, or A,B,C")
    parser.add_argument("--ops", type=int, default=500, help="operations of each run")
    parser.add_argument("--every", type=int, default=CHECKPOINT_OPERATIONS, help="per checkpoint")
    parser.add_argument("--step", action="append", choices=steps.NAMES, help="of the ladder")
    parser.add_argument("--store", default="sqlite", choices=("sqlite", "redis", "memory"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-faults", action="store_true", help="nothing goes wrong")
    parser.add_argument("--only-imap", action="store_true", help="nobody writes over JMAP")
    parser.add_argument("--request", action="append", default=[], help="of requests.py, only these")
    parser.add_argument("--patience", type=float, default=PATIENCE_SECONDS, help="in seconds")
    parser.add_argument("--only", default="", help="numbers of operations: A-B, or A,B,C")
    parser.add_argument("--shrink", type=float, default=0.0, help="seconds for finding a small run")
    logs = Path(tempfile.gettempdir()) / "oracle-logs"
    parser.add_argument("--logs", type=Path, default=logs, help="of failed runs")
    return parser.parse_args()


def _seeds(text: str) -> list[str]:
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return [str(number) for number in numbers]


def _work(queue: object, failed: object, options: argparse.Namespace) -> None:
    """Take seeds and run them, on a system that is made anew for each step and after a failure."""
    system: System | None = None
    try:
        while (task := queue.get()) is not None:  # type: ignore[attr-defined]
            name, seed = task
            if system is not None and system.step.name != name:
                system.close()
                system = None
            system = system or _started(name, options.store)
            if not _one(system, seed, options):
                failed.value += 1  # type: ignore[attr-defined]
                system = None
    finally:
        if system is not None:
            system.close()


def _started(name: str, store: StoreKind) -> System:
    system = System(steps.step(name), store)
    system.start()
    return system


def _one(system: System, seed: str, options: argparse.Namespace) -> bool:
    """Run a seed; a system on which it failed is closed."""
    started = time.monotonic()
    only = {int(number) for number in _seeds(options.only)} if options.only else None
    without = {n for n in range(options.ops) if only is not None and n not in only}
    run, failure = attempt(system, seed, options.ops, options, without)
    title = f"{system.step.name} {options.store} seed {seed}"
    seconds = time.monotonic() - started
    if failure is None:
        print(f"ok     {title} {seconds:.1f} s: {run.client.counts}", flush=True)
        return True
    log = _keep_log(options.logs, title, run, failure)
    print(f"FAILED {title} after {seconds:.1f} s, {len(run.log)} operations", flush=True)
    print("\n".join(f"    {line}" for line in run.since_checkpoint()[-_TAIL:]), flush=True)
    print(f"  {_told(failure)}\n  log: {log}; gateways: {system.directory}", flush=True)
    system.close(keep=True)
    if options.shrink:
        left = shrunk(
            lambda skipped: _fails(system, seed, options, skipped | without, failure),
            run.numbers() - without,
            options.shrink,
        )
        print(f"  it takes --only {','.join(map(str, left))}", flush=True)
    return False


def attempt(
    system: System, seed: str, ops: int, options: argparse.Namespace, without: Collection[int]
) -> tuple[Run, Exception | None]:
    """A run, and what ended it."""
    run = Run(
        system,
        seed,
        faults=not options.no_faults,
        writes=not options.only_imap,
        patience=options.patience,
        only=options.request,
    )
    try:
        run.start()
        run.operations(ops, every=options.every, without=without)
    except Exception as error:
        return run, error
    finally:
        run.close()
    return run, None


def _fails(
    system: System, seed: str, options: argparse.Namespace, without: set[int], like: Exception
) -> bool:
    """Whether the run still fails in the same way when some operations are left out."""
    fresh = _started(system.step.name, options.store)
    try:
        _, failure = attempt(fresh, seed, options.ops, options, without)
    finally:
        fresh.close()
    same = getattr(failure, "invariant", None) == getattr(like, "invariant", None)
    return failure is not None and same


def _told(failure: Exception) -> str:
    if isinstance(failure, Violation):
        return str(failure)
    return "".join(traceback.format_exception(failure))


def _keep_log(directory: Path, title: str, run: Run, failure: Exception) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / f"{title.replace(' ', '-')}.log"
    server = ["", "The mail server:", run.system.server.log(), "", run.system.passed(), ""]
    path.write_text("\n".join([*run.log, _told(failure), *server]))
    return path


if __name__ == "__main__":
    sys.exit(main())
