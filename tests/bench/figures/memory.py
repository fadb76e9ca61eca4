"""Design §6, §7: what an account of 100,000 messages takes, in memory and in the store."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.bench.report import Figure, Mark
from tests.bench.stage import Stage

_RUNS = 3
_SECONDS = 300.0


async def run(stage: Stage) -> list[Figure]:
    """Measure in processes of their own, one after the other."""
    figures: list[Figure] = []
    for profile in ("inbox100k", "folders100k"):
        port, user = stage.imap_port(profile), stage.user(profile)
        arguments = [str(port), user.username, user.password]
        command = [sys.executable, "-m", "tests.bench.footprint", *arguments]
        runs = []
        for _ in range(_RUNS):
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True, timeout=_SECONDS
            )
            runs.append(json.loads(done.stdout))
        figures += _figures(profile, runs)
    return figures


def _figures(profile: str, runs: list[dict[str, float]]) -> list[Figure]:
    def each(name: str) -> list[float]:
        return [run[name] / run["messages"] for run in runs]

    return [
        Figure(f"memory, {profile}: tables", "B/msg", each("tables"), Mark("<=", 150)),
        Figure("- strings of the list view", "B/msg", each("strings")),
        Figure("- all that the account counts", "B/msg", each("account")),
        Figure("- growth of the process", "B/msg", each("resident")),
        Figure("- growth of the process at its peak", "B/msg", each("peak")),
        Figure("- store, without the header cache", "B/msg", each("stored_index"), Mark("<=", 30)),
        Figure("- store, all", "B/msg", each("stored")),
    ]
