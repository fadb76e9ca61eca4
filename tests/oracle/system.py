"""Faults F1 to F8, F15: gateways, stores and connections that come and go."""

from __future__ import annotations

import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.oracle import kept
from tests.oracle.chaos import Chaos
from tests.oracle.gun import Gun, any_line
from tests.oracle.jmap_http import Jmap
from tests.oracle.jmap_writers import wait_until_done
from tests.oracle.processes import Process
from tests.oracle.raw_reader import Raw
from tests.oracle.steps import Step
from tests.oracle.stores import RedisStore, StoreKind, open_store

# Dovecot now and then spoils its list index when several sessions change it, and makes it anew. A
# session that had the old one open lists the mailboxes of that time until it ends.
_STALE = re.compile(rb"Error: .*dovecot\.list\.index")
# Who has a mailbox open that is deleted or renamed may find its files spoilt.
_SERVER_ERROR = re.compile(rb"\bError: ")
# Of requests that are sent so long after a fault, it may still be the cause.
_TROUBLE_SECONDS = 8.0
_MOST_OCTETS = 6000
_PAUSE_MILLISECONDS = 1500
_AWAY_SECONDS = (0.1, 0.5, 1.5)


class System:
    """One mail server, one store, and one gateway or two on it; `losses` counts what was lost."""

    def __init__(self, step: Step, store: StoreKind) -> None:
        self.step = step
        self.directory = Path(tempfile.mkdtemp(prefix="oracle-"))
        self.server = step.server()
        self.losses = 0
        self._kind = store
        self._chaos: Chaos | None = None
        self._trouble = float("-inf")
        self._turn = 0
        self._log_octets = 0
        self._is_stale = False
        self._gun = Gun()

    # --- Life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything."""
        self.server.start()
        self._chaos = Chaos(self.server.imap_port)
        self._chaos.__enter__()
        self._store = open_store(self._kind, self.directory)
        environment = {
            "JMAP_GATEWAY_SERVER__LISTEN": "127.0.0.1:0",
            "JMAP_GATEWAY_SERVER__ADMIN_LISTEN": "127.0.0.1:0",
            "JMAP_GATEWAY_SERVER__DATA_DIR": str(self.directory),
            "JMAP_GATEWAY_IMAP__URL": f"imap://127.0.0.1:{self._chaos.port}",
            "JMAP_GATEWAY_STORE__URL": self._store_url(),
            "ORACLE_PLAIN_FLAGS_SECONDS": "0.2",
            "ORACLE_VOUCHED_SECONDS": "1.0",
        }
        self._nodes = [Process(name, self.directory, environment) for name in ("one", "two")]
        self._nodes[0].start()
        self._operations = self._weigh()

    def _store_url(self) -> str:
        """Where gateways find the store."""
        return self._store.url

    def close(self, *, keep: bool = False) -> None:
        """End everything; keep: leave the logs of the gateways where they are."""
        for node in self._nodes:
            node.stop(signal.SIGKILL)
        self._store.close()
        if self._chaos is not None:
            self._chaos.__exit__(None, None, None)
        self.server.close()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def begin(self) -> None:
        """Be as at the start, whatever was done to it: one gateway, and nothing taken."""
        self._store.forget()
        self._nodes[1].stop()
        self._turn = 0
        self.settle()

    def settle(self) -> None:
        """End what goes wrong: all can be reached, and one gateway runs at least."""
        self._proxy.resume()
        self.unload()
        self._running()
        self._read_log()
        if self._is_stale:
            self._is_stale = False
            self.expect_trouble()
            self._proxy.cut()

    def _read_log(self) -> None:
        """What the server has stumbled over itself, requests may fail for."""
        log = (self.server.directory / "log").read_bytes()
        new, self._log_octets = log[self._log_octets :], len(log)
        if _SERVER_ERROR.search(new):
            self.expect_trouble()
        self._is_stale = self._is_stale or _STALE.search(new) is not None

    def check(self) -> None:
        """Raise Violation (I9) for what gateways logged, if they ended, or grew."""
        for node in self._nodes:
            node.check()

    def kept_otherwise(self, account_id: str, raw: Raw) -> list[str]:
        """What the store has of messages otherwise than the mail server (I11)."""
        if self._kind == "memory":
            return []
        return kept.differences(self._store_url(), self.directory, account_id, raw)

    # --- For clients ---------------------------------------------------------------------------

    def pick(self) -> Process:
        """The gateway for the next request: each that runs in turn."""
        running = self._running()
        self._turn += 1
        return running[self._turn % len(running)]

    @property
    def starts(self) -> int:
        """How often a gateway was started."""
        return sum(node.starts for node in self._nodes)

    @property
    def is_shared(self) -> bool:
        """Whether there are two gateways."""
        return all(node.running for node in self._nodes)

    def is_trouble(self, since: float) -> bool:
        """Whether a request may fail that was sent then (time.monotonic)."""
        self._read_log()
        # Only then does a gateway find what others have done, and they what it does.
        ready = max(node.ready_at for node in self._nodes)
        return (
            self._gun.is_loaded
            or since < max(self._trouble, self._proxy.harmed, ready) + _TROUBLE_SECONDS
        )

    def expect_trouble(self) -> None:
        """Requests may fail from now on for a while."""
        self._trouble = time.monotonic()

    def _running(self) -> list[Process]:
        if self._gun.fired:
            self.unload()
        running = [node for node in self._nodes if node.running]
        if not running:
            self._nodes[0].start()
            running = self._nodes[:1]
        return running

    def passed(self) -> str:
        """What gateways and the mail server have said to each other last."""
        return self._proxy.passed()

    def settle_writes(self, jmap: Jmap) -> None:
        """End what goes wrong, and wait until all that was asked of gateways is done."""
        self.expect_trouble()
        self.settle()
        for node in self._running():
            jmap.pinned = node
            try:
                wait_until_done(jmap)
            finally:
                jmap.pinned = None

    # --- What happens to it ---------------------------------------------------------------------

    def act(self, rng: Random) -> str:
        """Let something go wrong; returns what."""
        self.unload()
        self.expect_trouble()
        operations, weights = [*self._operations], [*self._operations.values()]
        (operation,) = rng.choices(operations, weights)
        done = operation(rng)
        # What it caused may come only now: to start a gateway takes long on a busy machine.
        self.expect_trouble()
        return f"{operation.__name__} {done}"

    def _weigh(self) -> dict[Callable[[Random], str], int]:
        weights: dict[Callable[[Random], str], int] = {
            self.restart: 3,
            self.kill: 4,
            self.cut: 6,
            self.cut_after: 8,
            self.refuse: 2,
            self.stall: 2,
        }
        if self._kind == "memory":
            return weights
        weights |= {self.second: 4, self.flush: 2, self.take: 4, self.put_back: 3}
        if self._kind == "redis":
            weights[self.pause] = 3
        return weights

    def restart(self, rng: Random) -> str:
        """SIGTERM, and start again."""
        return self._end(rng, signal.SIGTERM)

    def kill(self, rng: Random) -> str:
        """SIGKILL, and start again."""
        return self._end(rng, signal.SIGKILL)

    @property
    def is_loaded(self) -> bool:
        """Whether a gateway is to be killed."""
        return self._gun.is_loaded

    def load(self, rng: Random) -> str:
        """A gateway is to be killed when it has sent the mail server a few lines more."""
        node, moment = rng.choice(self._running()), any_line(self._proxy, rng)
        self.expect_trouble()
        node.address()  # other gateways send lines, too, and what never starts is a violation
        self._gun.load(node, moment)
        return f"{node.name} {moment}"

    def unload(self) -> None:
        """If that gateway was killed, start it again; else it is not killed any more."""
        node = self._gun.unload()
        if node is not None and node.running:
            self._replace(node)

    def _replace(self, node: Process) -> None:
        node.stop(signal.SIGKILL)
        node.start()
        self.expect_trouble()
        if self._kind == "memory":
            self.losses += 1

    def _end(self, rng: Random, number: signal.Signals) -> str:
        node = rng.choice(self._running())
        if number == signal.SIGTERM:
            self._proxy.resume()  # it finishes what is under way
        node.stop(number)
        node.start()
        if self._kind == "memory":
            self.losses += 1
        return node.name

    def second(self, rng: Random) -> str:
        """A gateway more on the same store, or one less."""
        running = self._running()
        if len(running) == 1:
            node = next(node for node in self._nodes if not node.running)
            node.start()
            return f"starts {node.name}"
        self._proxy.resume()
        node = rng.choice(running)
        node.stop(rng.choice((signal.SIGTERM, signal.SIGKILL)))
        return f"ends {node.name}"

    def flush(self, rng: Random) -> str:
        """All that is stored is lost."""
        self._with_store_at_rest(rng, self._store.flush)
        self.losses += 1
        return ""

    def take(self, rng: Random) -> str:
        """What is stored now may come back."""
        self._with_store_at_rest(rng, self._store.take)
        return ""

    def put_back(self, rng: Random) -> str:
        """What was stored once is stored again."""
        done: list[bool] = []
        self._with_store_at_rest(rng, lambda: done.append(self._store.put_back()))
        self.losses += 1
        return "" if done == [True] else "nothing"

    def _with_store_at_rest(self, rng: Random, work: Callable[[], object]) -> None:
        if self._store.is_live:
            work()
            return
        self._proxy.resume()
        ended = self._running()
        for node in ended:
            node.stop(rng.choice((signal.SIGTERM, signal.SIGKILL)))
        work()
        for node in ended:
            node.start()

    def pause(self, rng: Random) -> str:
        """The store answers nobody for a moment."""
        assert isinstance(self._store, RedisStore)
        self._store.pause(_PAUSE_MILLISECONDS)
        return ""

    def cut(self, rng: Random) -> str:
        """All connections to the mail server are lost."""
        self._proxy.cut()
        return ""

    def cut_after(self, rng: Random) -> str:
        """A connection to the mail server is lost somewhere in an answer."""
        octets = rng.randrange(1, _MOST_OCTETS)
        self._proxy.cut_after(octets)
        return str(octets)

    def refuse(self, rng: Random) -> str:
        """The mail server is away for a while."""
        self._proxy.refuse(rng.choice(_AWAY_SECONDS))
        return ""

    def stall(self, rng: Random) -> str:
        """The mail server is silent for a while."""
        self._proxy.stall(rng.choice(_AWAY_SECONDS))
        return ""

    @property
    def _proxy(self) -> Chaos:
        assert self._chaos is not None
        return self._chaos
