"""One run: operations that follow from a seed, and checkpoints between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from random import Random
from typing import Any

from tests.oracle import raw_reader
from tests.oracle.imap_model import ImapModel
from tests.oracle.imap_noise import Noise
from tests.oracle.imap_wire import Imap
from tests.oracle.invariants import PATIENCE_SECONDS, Checkpoint
from tests.oracle.jmap_client import Client
from tests.oracle.jmap_http import Alter, Jmap, Login, land
from tests.oracle.jmap_writers import JmapWriters
from tests.oracle.ledger import Ledger
from tests.oracle.raw_reader import Raw
from tests.oracle.system import System
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User

CHECKPOINT_OPERATIONS = 50
_QUERIES = 7
_FIRST_MESSAGES = 12
# What is lost is noticed by the first change after it, and that may be after a checkpoint.
_CHECKPOINTS_OF_GRACE = 2
# Of so many writes a gateway is killed during one.
_KILLED = 0.04
_QUIET_WRITES = 2


class Run:
    """A fresh account on a system that may have served others, and all that happens to it.

    writes: whether others write over JMAP as well; only: what these ask for (requests.py).
    """

    def __init__(
        self,
        system: System,
        seed: str,
        *,
        faults: bool = True,
        patience: float = PATIENCE_SECONDS,
        writes: bool = True,
        only: Collection[str] = (),
        alter: Alter | None = None,
    ) -> None:
        system.begin()
        self.system = system
        self.seed = seed
        self.log: list[str] = []
        self.user = system.server.add_user()
        self.model = ImapModel()
        self.noise = Noise(
            self.model,
            self._connect,
            self._set_uidvalidity if system.step.is_dovecot else None,
        )
        self.ledger = Ledger()
        login = Login(self.user.username, self.user.password)
        self.jmap = Jmap(login, system.pick, system.is_trouble, alter)
        self.client = Client(self.jmap, self.ledger, self._may_lose, self._may_forget)
        self.writers = JmapWriters(
            self.client,
            self.noise,
            lambda: Jmap(login, system.pick, system.is_trouble, alter),
            system.settle_writes,
            lambda: self._read_raw(self.model.mailboxes),
            patience,
            only,
        )
        self._faults = faults
        self._writes = writes
        self._losses = system.losses
        self._starts = system.starts
        self._grace = 0
        self._checkpoint = Checkpoint(self.client, self.model, self._read_raw, system, {}, patience)

    # --- What happens --------------------------------------------------------------------------

    def start(self) -> None:
        """A little mail, and a client that has all of it."""
        rng = Random(f"{self.seed}/start")
        self.noise.start()
        for operation in ["create"] * 3 + ["append"] * _FIRST_MESSAGES:
            self.noise.perform(operation, rng)
        land(self.client.start(rng, _QUERIES))

    def operations(
        self, count: int, *, every: int = CHECKPOINT_OPERATIONS, without: Collection[int] = ()
    ) -> None:
        """So many operations, but for some, with checkpoints. Raises Violation."""
        for number in range(count):
            if number not in without:
                self.step(number, Random(f"{self.seed}/{number}"))
            if (number + 1) % every == 0:
                self.check(Random(f"{self.seed}/check{number}"))
                if self._writes:
                    self._write_quietly(Random(f"{self.seed}/quiet{number}"))

    def step(self, number: int, rng: Random) -> None:
        """One operation; what it was is in the log before it is done."""
        kind = rng.random()
        if self._writes and kind < 0.25:
            self._note(number, lambda: self.write(rng))
        elif kind < 0.80:
            self._note(number, lambda: self.noise.act(rng))
        elif kind < 0.98 or not self._faults:
            self.log.append(f"{number} synchronise")
            self.synchronise(rng)
        else:
            self._note(number, lambda: self._fault(rng))

    def check(self, rng: Random) -> None:
        """A checkpoint. Raises Violation."""
        self.noise.renew()
        self.writers.verify_open()
        self._checkpoint.check(rng)
        self.log.append("checkpoint")
        self.writers.rest()
        if self._grace:
            self._grace -= 1

    def close(self) -> None:
        """Close all connections of the account."""
        self.noise.close()
        self.writers.close()
        self.jmap.close()

    def numbers(self) -> set[int]:
        """Which operations were done."""
        return {int(line.split()[0]) for line in self.log if line[0].isdigit()}

    def since_checkpoint(self) -> list[str]:
        """What was done since all was well."""
        at = len(self.log) - self.log[::-1].index("checkpoint") if "checkpoint" in self.log else 0
        return self.log[at:]

    def synchronise(self, rng: Random) -> None:
        """The client catches up, and others go on meanwhile."""
        for _ in self.client.synchronise(rng):
            kind = rng.random()
            if kind < 0.25:
                self._note("meanwhile", lambda: self.noise.act(rng))
            elif kind > 0.995 and self._faults:
                self._note("meanwhile", lambda: self._fault(rng))

    def write(self, rng: Random) -> str:
        """A request that writes, while others go on, and the gateway may be killed."""
        request = self.writers.requests.choose(rng)
        if self._faults and rng.random() < _KILLED and not self.system.is_loaded:
            self.log.append(f"killed: {self.system.load(rng)}")
        self.log.append(f"asked: {request}")
        flight = self.writers.write(request)
        next(flight, None)
        for _ in range(rng.choice((0, 0, 0, 1, 2, 4))):
            self._meanwhile(rng)
        told = land(flight)
        self.system.unload()
        return f"write {told}"

    def _meanwhile(self, rng: Random) -> None:
        kind = rng.random()
        if kind < 0.1 and self.writers.has_room:
            self._note("meanwhile", lambda: self.write(rng))
        elif kind < 0.97 or not self._faults:
            self._note("meanwhile", lambda: self.noise.act(rng))
        else:
            self._note("meanwhile", lambda: self._fault(rng))

    def _write_quietly(self, rng: Random) -> None:
        """Nobody else writes: all that is told has to be so at once, and no more than that."""
        for _ in range(_QUIET_WRITES):
            request = self.writers.requests.choose(rng)
            self.log.append(f"quietly: {request}")
            land(self.writers.write(request, is_quiet=True))
            land(self.client.synchronise(rng))

    def _note(self, what: object, work: Callable[[], str]) -> None:
        self.log.append(f"{what} ...")
        self.log[-1] = f"{what} {work()}"

    def _fault(self, rng: Random) -> str:
        done = self.system.act(rng)
        if self.system.losses != self._losses:
            self._losses = self.system.losses
            self.writers.lose_uploads()
            self._grace = _CHECKPOINTS_OF_GRACE
            self.ledger.forget_order()
        return done

    # --- What it works with --------------------------------------------------------------------

    def _may_lose(self) -> bool:
        return self._grace > 0

    def _may_forget(self) -> bool:
        return self.system.starts != self._starts or self.system.is_shared

    def _connect(self) -> Imap:
        user: User = self.user
        return Imap(self.system.server.imap_port, user.username, user.password)

    def _read_raw(self, also: Iterable[str] = ()) -> Raw:
        reader = self._connect()  # Dovecot's LIST may be of the past in an old session
        try:
            return raw_reader.read(reader, self.system.step.identity, also)
        finally:
            reader.close()

    def _set_uidvalidity(self, name: str, value: int) -> None:
        server: Any = self.system.server
        assert isinstance(server, Dovecot)
        self.system.expect_trouble()  # with a Maildir, it ends sessions that have it selected
        arguments = ("--uid-validity", str(value), raw_reader.path_of(name))
        server.doveadm("mailbox", "update", "-u", self.user.username, *arguments)
