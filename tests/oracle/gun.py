"""F1: SIGKILL for a gateway at the n-th line it sends to somebody, or after a time."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from threading import Timer

from tests.oracle.chaos import Chaos, Shot, Unit
from tests.oracle.processes import Process


@dataclass(frozen=True, slots=True)
class Moment:
    """When a gateway is killed: at so many lines or segments from now, sent or not.

    What is sent goes through `proxy`; without one, `amount` is of seconds.
    """

    proxy: Chaos | None
    unit: Unit
    amount: float
    is_late: bool = True

    def __str__(self) -> str:
        if self.proxy is None:
            return f"after {self.amount * 1000:.0f} ms"
        return f"{'after' if self.is_late else 'before'} {self.unit} {self.amount:g}"


def any_line(proxy: Chaos, rng: Random) -> Moment:
    """One of the first lines that are sent."""
    line = rng.choice((1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 10, 12, 16, 25))
    return Moment(proxy, "line", line, rng.random() < 0.5)


class Gun:
    """Aims at one gateway at most; `fired` tells whether that has been killed."""

    def __init__(self) -> None:
        self.fired = False
        self._node: Process | None = None
        self._proxy: Chaos | None = None
        self._timer: Timer | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether a gateway is to be killed, or was, and is not replaced yet."""
        return self._node is not None

    def load(self, node: Process, moment: Moment) -> None:
        """Kill a gateway when it is time."""
        self.unload()
        self._node, self._proxy = node, moment.proxy
        if moment.proxy is None:
            self._timer = Timer(moment.amount, self._shoot)
            self._timer.start()
        else:
            shot = Shot(int(moment.amount), moment.unit, moment.is_late, self._shoot)
            moment.proxy.load(shot)

    def unload(self) -> Process | None:
        """Do so no more; the gateway that was killed, if it was."""
        if self._proxy is not None:
            self._proxy.unload()
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        hit = self._node if self.fired else None
        self.fired, self._node, self._proxy, self._timer = False, None, None, None
        return hit

    def _shoot(self) -> None:
        assert self._node is not None
        self._node.shoot()
        self.fired = True
