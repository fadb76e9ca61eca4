"""The command: tests/kill/run --kills 500 [--store KIND] [--step NAME] [--seed N]."""

from __future__ import annotations

import argparse
import sys
from statistics import median, quantiles

from tests.kill.campaign import Campaign, Tally
from tests.kill.target import Target
from tests.oracle import steps


def main() -> int:
    """Kill, and print what came of it; the exit status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="tests/kill/run", description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--step", default="everything", choices=steps.NAMES, help="of the ladder")
    parser.add_argument("--store", default="sqlite", choices=("sqlite", "redis"))
    parser.add_argument("--seed", default="1")
    parser.add_argument("--request", action="append", default=[], help="only these (requests.py)")
    options = parser.parse_args()
    target = Target(steps.step(options.step), options.store)
    target.start()
    only = tuple(options.request)
    campaign = Campaign(target, options.seed, only, lambda text: print(text, flush=True))
    try:
        campaign.run(options.kills)
    finally:
        target.close(keep=True)
        print(f"{options.step}, {options.store}, seed {options.seed}; logs: {target.directory}")
        print("\n".join(table(campaign.tally)))
    return 1 if campaign.tally.violations else 0


def table(tally: Tally) -> list[str]:
    """The lines of a table of all kills, and how long gateways took to be of use again."""
    outcomes = ("answered", "not done", "done in part")
    lines = [f"{'killed':34}{'kills':>7}" + "".join(f"{name:>14}" for name in outcomes)]
    for kind in sorted({kind for kind, _ in tally.kills}):
        counts = [tally.kills[kind, outcome] for outcome in outcomes]
        lines.append(f"{kind:34}{sum(counts):7}" + "".join(f"{count:14}" for count in counts))
    lines.append(f"{tally.count} kills, {len(tally.violations)} with a violation")
    if len(tally.ready) > 1:
        p95 = quantiles(tally.ready, n=20)[-1]
        lines.append(
            f"ready again after {median(tally.ready):.2f} s (median), {p95:.2f} s (p95),"
            f" {max(tally.ready):.2f} s (longest)"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
