"""Fixtures that every package's tests may use: real servers, and users nobody else touches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.checklist.citations import summary
from tests.servers import cyrus_config, dovecot_config
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import MailServer, User
from tests.servers.redis import Redis


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """Give the Dovecot with default options that all tests of one worker share."""
    with Dovecot() as server:
        yield server


@pytest.fixture
def mailuser(dovecot: Dovecot) -> User:
    """Give a user of `dovecot` with empty mailboxes, whom no other test knows."""
    return dovecot.add_user()


@pytest.fixture
def start_dovecot() -> Iterator[Callable[..., Dovecot]]:
    """Give a function that starts a Dovecot with its `Options` for one test."""
    with ExitStack() as servers:

        def start(**options: Any) -> Dovecot:
            return servers.enter_context(Dovecot(dovecot_config.Options(**options)))

        yield start


@pytest.fixture(scope="session")
def pigeonhole() -> Iterator[Dovecot]:
    """Give the Dovecot with ManageSieve that all tests of one worker share."""
    with Dovecot(dovecot_config.Options(sieve=True)) as server:
        yield server


@pytest.fixture
def sieveuser(pigeonhole: Dovecot) -> User:
    """Give a user of `pigeonhole` without scripts, whom no other test knows."""
    return pigeonhole.add_user()


@pytest.fixture(scope="session")
def cyrus() -> Iterator[Cyrus]:
    """Give the Cyrus with default options that all tests of one worker share."""
    with Cyrus() as server:
        yield server


@pytest.fixture
def start_cyrus() -> Iterator[Callable[..., Cyrus]]:
    """Give a function that starts a Cyrus with its `Options` for one test."""
    with ExitStack() as servers:

        def start(**options: Any) -> Cyrus:
            return servers.enter_context(Cyrus(cyrus_config.Options(**options)))

        yield start


@pytest.fixture(scope="session")
def _redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def redis_server(_redis: Redis) -> Redis:
    """Give an empty Redis that no other test uses at the same time."""
    _redis.flush()
    return _redis


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of the servers a failed test used."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, MailServer | Redis):
                report.sections.append((f"log of {name}", value.log()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how far the checklist is covered."""
    terminalreporter.write_line(summary())
