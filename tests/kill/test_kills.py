"""F1: a few kills during writes of every kind; tests/kill/run does more of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kill import send_runner
from tests.kill.campaign import Campaign
from tests.kill.runner import table
from tests.kill.sending import Sending
from tests.kill.target import Target
from tests.oracle import steps
from tests.oracle.stores import StoreKind


@pytest.mark.parametrize(("step", "store"), [("everything", "sqlite"), ("everything", "redis")])
def test_nothing_is_lost_or_doubled_by_a_kill(step: str, store: StoreKind) -> None:
    target = Target(steps.step(step), store)
    target.start()
    try:
        tally = Campaign(target, "1").run(6)
    finally:
        target.close()
    assert not tally.violations, "\n".join(tally.violations)
    assert tally.count == len(tally.ready) == 6, table(tally)


async def test_nothing_is_sent_twice_by_a_kill_or_a_lost_answer(tmp_path: Path) -> None:
    sent = await Sending(tmp_path, "sqlite", "1").run(8, lambda _: None)
    assert not sent.violations, "\n".join(sent.violations)
    assert sent.messages.total() == 8, send_runner.table(sent)
