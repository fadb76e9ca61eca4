"""F1: writes, each of which ends in a kill, and what is left of the mail after each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.kill.target import Target
from tests.oracle import situation
from tests.oracle.jmap_http import land
from tests.oracle.session import Run
from tests.oracle.violations import Violation

_FEWEST, _MOST = 30, 250
_REPORTED = 25


@dataclass(slots=True)
class Tally:
    """What came of all kills: by kind of moment, and what of the write had been told or done."""

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many kills there were."""
        return self.kills.total()


class Campaign:
    """Kills on one system; each failure is followed by an account of its own.

    only: names of what is asked for (requests.py), by default everything. report: is told what is
    wrong, and now and then how many kills there were.
    """

    def __init__(
        self,
        target: Target,
        seed: str,
        only: tuple[str, ...] = (),
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._target = target
        self._seed = seed
        self._only = only
        self._report = report
        self.tally = Tally(ready=target.ready)

    def run(self, kills: int) -> Tally:
        """Kill so often."""
        run: Run | None = None
        for number in range(kills):
            rng = Random(f"{self._seed}/{number}")
            if run is None:
                run = self._begin(number)
            try:
                self._kill(run, number, rng)
            except Violation as violation:
                done = "\n".join(run.since_checkpoint())
                self.tally.violations.append(f"kill {number}: {violation}\n{done}")
                self._report(self.tally.violations[-1])
                run.close()
                run = None
            if (number + 1) % _REPORTED == 0:
                self._report(f"{number + 1} kills")
        if run is not None:
            run.close()
        return self.tally

    def _begin(self, number: int) -> Run:
        run = Run(self._target, f"{self._seed}/{number}", faults=False, only=self._only)
        run.start()
        run.check(Random(number))
        return run

    def _kill(self, run: Run, number: int, rng: Random) -> None:
        """One write with a kill in it. Raises Violation."""
        self._refill(run, rng)
        request = run.writers.requests.choose(rng)
        while not request.calls:
            request = run.writers.requests.choose(rng)
        before = situation.of_model(run.model)
        kind, moment = self._target.aim(rng)
        run.log.append(f"{number}: {moment}: {request}")
        told = land(run.writers.write(request))
        jmap = run.jmap
        is_hit = self._target.end(jmap)
        land(run.client.synchronise(rng))
        run.check(rng)
        if told == "answered" or not is_hit:
            outcome = "answered"
        else:
            outcome = "not done" if situation.of_model(run.model) == before else "done in part"
        self.tally.kills[kind if is_hit else "after the answer", outcome] += 1

    def _refill(self, run: Run, rng: Random) -> None:
        """See to it that there is mail, and not too much of it."""
        while run.model.size < _FEWEST:
            run.noise.perform("append", rng)
        while run.model.size > _MOST:
            run.noise.perform("expunge_many", rng)
        land(run.client.synchronise(rng))
        run.check(rng)
