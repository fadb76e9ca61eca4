"""F1: a system whose gateway is killed on cue, and how long it takes to be of use again."""

from __future__ import annotations

import time
from random import Random

from tests.oracle.chaos import Chaos
from tests.oracle.gun import Moment, any_line
from tests.oracle.jmap_http import Jmap
from tests.oracle.processes import Process
from tests.oracle.steps import Step
from tests.oracle.stores import StoreKind
from tests.oracle.system import System

_SEGMENTS = (1, 1, 2, 2, 3, 3, 4, 5, 6)
_MOST_SECONDS = 0.08


class Target(System):
    """One gateway; `ready` has the seconds from each start to the first good Email/get."""

    def __init__(self, step: Step, store: StoreKind) -> None:
        super().__init__(step, store)
        self.ready: list[float] = []
        self._store_proxy: Chaos | None = None
        self._replaced_at: float | None = None

    def close(self, *, keep: bool = False) -> None:
        """End everything; keep: leave the logs of the gateways where they are."""
        super().close(keep=keep)
        if self._store_proxy is not None:
            self._store_proxy.__exit__(None, None, None)

    def aim(self, rng: Random) -> tuple[str, str]:
        """Kill the gateway at some moment; what kind of moment that is, and which."""
        moments = [(self._a_line, 5), (self._a_time, 2), (self._a_segment, 3)]
        usable = moments if self._store_proxy is not None else moments[:2]
        (choose,) = rng.choices([m for m, _ in usable], [weight for _, weight in usable])
        kind, moment = choose(rng)
        (node,) = self._running()
        self.expect_trouble()
        self._gun.load(node, moment)
        return kind, str(moment)

    def end(self, jmap: Jmap) -> bool:
        """See to it that the gateway is killed and runs again; whether it had been hit before."""
        had_been = self._gun.fired or self._replaced_at is not None or not self._gun.is_loaded
        node = self._gun.unload()
        if not had_been:
            (node,) = self._running()
        if node is not None:
            self._replace(node)
        self._time_to_answer(jmap)
        return had_been

    def settle_writes(self, jmap: Jmap) -> None:
        """Let the gateway run again, and end what it had begun."""
        self.unload()
        self._time_to_answer(jmap)
        super().settle_writes(jmap)

    def _replace(self, node: Process) -> None:
        super()._replace(node)
        self._replaced_at = node.started_at

    def _time_to_answer(self, jmap: Jmap) -> None:
        if self._replaced_at is None:
            return
        jmap.ask([("Email/get", {"ids": [], "properties": ["id"]})])
        self.ready.append(time.monotonic() - self._replaced_at)
        self._replaced_at = None

    def _store_url(self) -> str:
        url = self._store.url
        if self._kind != "redis":
            return url
        head, _, tail = url.rpartition(":")
        port, _, database = tail.partition("/")
        self._store_proxy = Chaos(int(port))
        self._store_proxy.__enter__()
        return f"{head}:{self._store_proxy.port}/{database}"

    # --- Moments ---------------------------------------------------------------------------------

    def _a_line(self, rng: Random) -> tuple[str, Moment]:
        moment = any_line(self._proxy, rng)
        return f"{'after' if moment.is_late else 'before'} a line to the mail server", moment

    def _a_segment(self, rng: Random) -> tuple[str, Moment]:
        is_late = rng.random() < 0.5
        moment = Moment(self._store_proxy, "segment", rng.choice(_SEGMENTS), is_late)
        return f"{'after' if is_late else 'before'} a segment to the store", moment

    def _a_time(self, rng: Random) -> tuple[str, Moment]:
        return "at any time", Moment(None, "line", rng.random() * _MOST_SECONDS)
