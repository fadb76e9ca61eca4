"""Starts a gateway that asks the mail server more often than it does for people.

Where a server has no mod-sequences, all flags are compared now and then; where it tells of changes
by itself, what it forgets to tell is looked for now and then. That is waited for by nobody who
wants to do thousands of operations. And no row stays that is not needed, as many as there are.
"""

from __future__ import annotations

import os

from gateway import cli
from gateway.sync import checker, compaction, trust

if __name__ == "__main__":
    checker.PLAIN_FLAGS_SECONDS = float(os.environ["ORACLE_PLAIN_FLAGS_SECONDS"])
    trust.VOUCHED_SECONDS = float(os.environ["ORACLE_VOUCHED_SECONDS"])
    compaction.is_worth_it = lambda data, rows: len(rows) < data.emails.size
    cli.main()
