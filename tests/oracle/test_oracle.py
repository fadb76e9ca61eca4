"""Faults §oracle: short runs of the oracle, those that once failed, and proof that it can fail."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.oracle import steps
from tests.oracle.liar import LIES, WRITE_LIES
from tests.oracle.session import Run
from tests.oracle.shrink import shrunk
from tests.oracle.stores import StoreKind
from tests.oracle.system import System
from tests.oracle.violations import Violation

HERE = Path(__file__).parent
# These start the gateway, take the ladder of servers from its tests, and read what it keeps.
MAY_IMPORT_GATEWAY = ("launch.py", "steps.py", "kept.py")
OPERATIONS = 60
EVERY = 20

Start = Callable[[str, StoreKind], System]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Give a function for a system of each step and store, started when it is first needed."""
    started: dict[tuple[str, StoreKind], System] = {}
    with ExitStack() as systems:

        def start(step: str, store: StoreKind) -> System:
            if (step, store) not in started:
                system = started[step, store] = System(steps.step(step), store)
                system.start()
                systems.callback(system.close)
            return started[step, store]

        yield start


def perform(run: Run, operations: int) -> None:
    """All of a run. Raises Violation."""
    try:
        run.start()
        run.operations(operations, every=EVERY)
    finally:
        run.close()


def check(run: Run, operations: int) -> None:
    """The same; a failure tells what was done."""
    try:
        perform(run, operations)
    except Violation as violation:
        done = "\n".join(run.since_checkpoint())
        pytest.fail(f"seed {run.seed}: {violation}\n{done}", pytrace=False)


@pytest.mark.parametrize(
    ("step", "store", "seed"),
    [
        ("everything", "sqlite", "1"),
        ("everything", "sqlite", "2"),
        ("no-condstore", "redis", "3"),
        ("cyrus", "sqlite", "4"),
    ],
)
def test_whatever_happens_is_followed(step: str, store: StoreKind, seed: str, start: Start) -> None:
    """I1 to I11, with writers over IMAP and over JMAP."""
    check(Run(start(step, store), seed), OPERATIONS)


def _regressions() -> list[tuple[str, StoreKind, str, int]]:
    lines = (HERE / "regressions.txt").read_text().splitlines()
    found = [line.split() for line in lines if line and not line.startswith("#")]
    kinds: dict[str, StoreKind] = {"sqlite": "sqlite", "redis": "redis", "memory": "memory"}
    return [(step, kinds[store], seed, int(count)) for step, store, seed, count in found]


@pytest.mark.parametrize(("step", "store", "seed", "count"), _regressions())
def test_what_once_failed(step: str, store: StoreKind, seed: str, count: int, start: Start) -> None:
    check(Run(start(step, store), seed, writes=False), count)


# --- Short runs that hypothesis makes shorter -----------------------------------------------------

RANDOM = st.randoms(use_true_random=False)


def test_any_few_operations_are_followed(start: Start) -> None:
    system = start("everything", "sqlite")

    class Machine(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            self.session = Run(system, "0", faults=False)
            self.session.start()

        @rule(rng=RANDOM)
        def write(self, rng: Random) -> None:
            self.session.noise.act(rng)

        @rule(rng=RANDOM)
        def follow(self, rng: Random) -> None:
            self.session.synchronise(rng)

        @rule(rng=RANDOM)
        def compare(self, rng: Random) -> None:
            self.session.check(rng)

        def teardown(self) -> None:
            self.session.check(Random(0))
            self.session.close()

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=4,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[*HealthCheck],
            phases=[Phase.generate, Phase.shrink],
        ),
    )


# --- The oracle itself ---------------------------------------------------------------------------


@pytest.mark.parametrize("lie", [*LIES, *WRITE_LIES])
def test_a_lie_is_found_out(lie: str, start: Start) -> None:
    """A gateway whose answers are wrong in one way."""
    make, invariants = LIES.get(lie) or WRITE_LIES[lie]
    run = Run(
        start("everything", "sqlite"),
        "7",
        faults=False,
        writes=lie in WRITE_LIES,
        patience=1.5,
        alter=make(),
    )
    with pytest.raises(Violation) as found:
        perform(run, 6 * EVERY)
    assert found.value.invariant in invariants, found.value


def test_nothing_is_shared_with_the_gateway() -> None:
    """Else what it gets wrong in reading, the comparison would get wrong as well."""
    for path in HERE.glob("*.py"):
        if path.name in (*MAY_IMPORT_GATEWAY, Path(__file__).name):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not [n for n in names if n.split(".")[0] == "gateway"], path.name
            assert not [n for n in names if n.startswith("tests.sync")], path.name


def test_shrinking_leaves_what_is_needed() -> None:
    assert shrunk(lambda without: not {3, 17} & without, set(range(40)), 60.0) == [3, 17]
