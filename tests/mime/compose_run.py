"""RFC 8621 §4.6: many Emails composed and read back, by the gateway and by Python's email package.

    .venv/bin/python -m tests.mime.compose_run --count 10000

ends with 0 if all of them were read as they were sent, and all messages of tests/mime/corpus.py
could be attached. All headers, addresses, bodies, file names
and the octets of attachments are compared; no message may have a bare CR or LF, NUL, a line of more
than 998 octets, or a field that was not asked for.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.mime.composing_checks import check, check_attached
from tests.mime.composing_emails import NewEmail, emails
from tests.mime.corpus import torture


def main() -> None:
    """Compose so many Emails, and say what they had."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=8621)
    arguments = parser.parse_args()
    totals: Counter[str] = Counter()

    @seed(arguments.seed)
    @settings(
        max_examples=arguments.count,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(emails())
    def run(new: NewEmail) -> None:
        octets = check(new)
        totals.update(messages=1, octets=len(octets), parts=octets.count(b"\nContent-Type:"))
        totals["header properties"] += len(new.headers)
        totals["message/rfc822"] += octets.count(b"\nContent-Type: message/")

    started = time.monotonic()
    run()
    print(", ".join(f"{count} {name}" for name, count in totals.items()), end="")
    print(f" in {time.monotonic() - started:.0f} s: all read as they were sent")
    as_they_are = [check_attached(octets) for octets in torture().values()]
    print(f"{len(as_they_are)} broken messages attached, {sum(as_they_are)} as they are")


if __name__ == "__main__":
    main()
