"""Starts a gateway that asks the mail server more often than it does for people.

Where a server has no mod-sequences, all flags are compared now and then; where it tells of changes
by itself, what it forgets to tell is looked for now and then. That is waited for by nobody who
wants to do thousands of operations. And no row stays that is not needed, as many as there are.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway import cli
from gateway.sync import checker, compaction, trust

_PR_SET_PDEATHSIG = 1


def serve(log: Path, environment: Mapping[str, str]) -> None:
    """Be a gateway, in a process of its own that ends with the one it was forked from."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with log.open("ab") as told:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(told.fileno(), stream.fileno())
    os.environ.update(environment)
    checker.PLAIN_FLAGS_SECONDS = float(os.environ["ORACLE_PLAIN_FLAGS_SECONDS"])
    trust.VOUCHED_SECONDS = float(os.environ["ORACLE_VOUCHED_SECONDS"])
    compaction.is_worth_it = lambda data, rows: len(rows) < data.emails.size
    sys.argv = ["jmap-gateway", "serve"]
    cli.main()
