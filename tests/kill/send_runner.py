"""The command: tests/kill/send --messages 500 [--store KIND] [--seed N]."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.kill.sending import LOST, Sending, Sent


def main() -> int:
    """Send, and print what came of it; the exit status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="tests/kill/send", description=__doc__)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--store", default="sqlite", choices=("sqlite", "redis"))
    parser.add_argument("--seed", default="1")
    parser.add_argument("--lost", type=float, default=LOST, help="share of answers that are lost")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="send-") as directory:
        sending = Sending(Path(directory), options.store, options.seed, options.lost)
        sent = asyncio.run(sending.run(options.messages, lambda text: print(text, flush=True)))
    print("\n".join(table(sent)))
    return 1 if sent.violations else 0


def table(sent: Sent) -> list[str]:
    """The lines of a table of all messages."""
    outcomes = ("taken", "unknown, taken", "unknown, not taken")
    lines = [f"{'':34}{'messages':>9}" + "".join(f"{name:>20}" for name in outcomes)]
    for how in sorted({how for how, _ in sent.messages}):
        counts = [sent.messages[how, outcome] for outcome in outcomes]
        lines.append(f"{how:34}{sum(counts):9}" + "".join(f"{count:20}" for count in counts))
    lines.append(f"{sent.messages.total()} messages, {len(sent.violations)} with a violation")
    return lines


if __name__ == "__main__":
    sys.exit(main())
