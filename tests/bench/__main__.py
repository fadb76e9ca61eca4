"""`python -m tests.bench [names...]`: measure, and print one table."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from types import ModuleType

import uvloop

from tests.bench.figures import (
    bodies,
    changes,
    cold,
    comeback,
    crowd,
    downloads,
    importing,
    inbox,
    indexing,
    labels,
    marking,
    memory,
    message,
    moving,
    parsing,
    phone,
    push,
    queries,
    query_changes,
    quiet,
    resync,
    searching,
    submitting,
    threads,
    torture,
    upload,
)
from tests.bench.report import Figure, machine, table
from tests.bench.stage import Stage
from tests.servers.process import find_program

BENCHMARKS: dict[str, ModuleType] = {
    "inbox": inbox,
    "cold": cold,
    "indexing": indexing,
    "queries": queries,
    "changes": changes,
    "query_changes": query_changes,
    "resync": resync,
    "marking": marking,
    "moving": moving,
    "comeback": comeback,
    "submitting": submitting,
    "phone": phone,
    "push": push,
    "searching": searching,
    "labels": labels,
    "message": message,
    "bodies": bodies,
    "parsing": parsing,
    "memory": memory,
    "crowd": crowd,
    "downloads": downloads,
    "upload": upload,
    "importing": importing,
    "threads": threads,
    "torture": torture,
    "quiet": quiet,
}


def main() -> None:
    """Run the benchmarks that are named, or all."""
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=_description())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="name", help="a benchmark; all without")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - BENCHMARKS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    # A crowd of clients needs a descriptor each.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    measured_on = machine(_dovecot_version())
    figures: list[Figure] = []
    with Stage() as stage:
        for name in names:
            print(f"{name} ...", file=sys.stderr)
            figures += uvloop.run(BENCHMARKS[name].run(stage))
    print(table(figures, measured_on))


def _description() -> str:
    lines = [
        f"  {name:14}{(module.__doc__ or '').splitlines()[0]}"
        for name, module in BENCHMARKS.items()
    ]
    return "\n".join(["Measure the gateway against a Dovecot with large mailboxes.", "", *lines])


def _dovecot_version() -> str:
    command = [find_program("dovecot"), "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]


if __name__ == "__main__":
    main()
